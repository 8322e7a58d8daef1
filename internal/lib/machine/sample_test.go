package machine_test

import (
	"testing"
	"testing/fstest"

	"buttersc.one/oven/internal/lib/machine"
)

func TestReadSample(t *testing.T) {
	t.Parallel()
	proc := fstest.MapFS{
		"stat":    {Data: []byte("cpu  100 1 20 700 50 3 4 5 99 99\ncpu0 100 1 20 700 50 3 4 5\nintr 5\n")},
		"meminfo": {Data: []byte("MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nActive: 300 kB\nActive(anon): 7 kB\n")},
		"net/dev": {Data: []byte("Inter-| Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9\n  eth0:1000 1 0 0 0 0 0 0 2000 2 0\n  wlan0: 5 1 0 0 0 0 0 0 6 2 0\n")},
		"diskstats": {Data: []byte("7 0 loop0 9 9 9 9 9 9\n 8 0 sda 10 1 2 3 20 1 2\n 8 1 sda1 10 1 2 3 20 1 2\n" +
			"259 0 nvme0n1 100 1 2 3 200 1 2\n 259 1 nvme0n1p1 100 1 2 3 200 1 2\n 254 0 dm-0 5 5 5 5 5 5\n")},
	}
	got, err := machine.ReadSample(proc)
	want := machine.Sample{CPUBusy: 133, CPUAll: 883, MemUsed: 600 << 10, MemActive: 300 << 10, NetIn: 1005, NetOut: 2006, DiskReads: 110, DiskOuts: 220}
	if err != nil || got != want {
		t.Errorf("%+v, want %+v (%v)", got, want, err)
	}
	if _, err := machine.ReadSample(fstest.MapFS{}); err == nil {
		t.Error("nothing was read, and nothing said")
	}
}
