package stats

import (
	"context"
	"math"
	"os"
	"time"

	"buttersc.one/oven/internal/lib/machine"
	"buttersc.one/oven/internal/socket/stream"
)

// machineEvery the machine's figures are told to those who listen.
const machineEvery = 2 * time.Second

// machineStats is what the machine does at a moment; of net (bytes) and fs
// (operations) a second.
type machineStats struct {
	CPU float64 `json:"cpu"` // 0 to 1
	Mem struct {
		Used   uint64 `json:"used"`
		Active uint64 `json:"active"`
	} `json:"mem"`
	Net struct {
		RX uint64 `json:"rx"`
		TX uint64 `json:"tx"`
	} `json:"net"`
	FS struct {
		R uint64 `json:"r"`
		W uint64 `json:"w"`
	} `json:"fs"`
}

// Channels: what the machine does, where administrators let it be told.
func (s *Service) Channels() []stream.Channel {
	p := &stream.Pulse{Name: "serverStats", Every: machineEvery, Begin: func() func(context.Context) (any, error) {
		proc := os.DirFS("/proc")
		var before *machine.Sample
		var at time.Time
		return func(context.Context) (any, error) {
			if !s.Meta.Get().EnableMachineStats {
				before = nil
				return nil, nil //nolint:nilnil // documented: nothing this time
			}
			now, err := machine.ReadSample(proc)
			if err != nil {
				return nil, err
			}
			last, took := before, time.Since(at).Seconds()
			before, at = &now, time.Now()
			if last == nil {
				return nil, nil //nolint:nilnil // rates need two
			}
			return between(*last, now, took), nil
		}
	}}
	return []stream.Channel{p.Channel(s.Hub, s.Slog)}
}

// between makes rates of two samples.
func between(a, b machine.Sample, seconds float64) machineStats {
	var out machineStats
	rate := func(from, to uint64) uint64 {
		if to < from || seconds <= 0 {
			return 0 // an interface or a disk has gone
		}
		return uint64(math.Round(float64(to-from) / seconds))
	}
	if all := b.CPUAll - a.CPUAll; b.CPUAll > a.CPUAll && b.CPUBusy >= a.CPUBusy {
		out.CPU = math.Min(1, float64(b.CPUBusy-a.CPUBusy)/float64(all))
	}
	out.Mem.Used, out.Mem.Active = b.MemUsed, b.MemActive
	out.Net.RX, out.Net.TX = rate(a.NetIn, b.NetIn), rate(a.NetOut, b.NetOut)
	out.FS.R, out.FS.W = rate(a.DiskReads, b.DiskReads), rate(a.DiskOuts, b.DiskOuts)
	return out
}
