package drive_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// BenchmarkUpload sends a JPEG of 12 megapixels, each time as another file: what
// of the processor's time the server and the decoders take, and how much memory.
func BenchmarkUpload(b *testing.B) {
	s := testsrv.New(b)
	root := s.User(b, "root")
	root.Post(b, "admin/roles/update-default-policies", m{"policies": m{"driveCapacityMb": 100_000, "rateLimitFactor": 0}})
	p := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range p.Y {
		p.Y[i] = uint8(i/4000/12 + r.IntN(24)) //nolint:gosec // a slope with grain
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, p, &jpeg.Options{Quality: 88}); err != nil {
		b.Fatal(err)
	}
	usage := func(who int) (cpu time.Duration, peak int64) {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss
	}
	before := resident(b)
	self, _ := usage(syscall.RUSAGE_SELF)
	children, _ := usage(syscall.RUSAGE_CHILDREN)
	n, most := 0, before
	for b.Loop() {
		root.File(b, "x.jpg", bytes.NewReader(buf.Bytes()), m{"force": true})
		n++
		most = max(most, resident(b))
	}
	after, _ := usage(syscall.RUSAGE_SELF)
	made, peak := usage(syscall.RUSAGE_CHILDREN)
	b.ReportMetric(float64((after-self).Milliseconds())/float64(n), "server-cpu-ms")
	b.ReportMetric(float64((made-children).Milliseconds())/float64(n), "decoders-cpu-ms")
	b.ReportMetric(float64(peak)/1024, "decoder-peak-MiB")
	b.ReportMetric(float64(most-before)/(1<<20), "server-grows-MiB")
	b.ReportMetric(float64(buf.Len())/(1<<20), "file-MiB")
}

// resident memory of this process in bytes, server and client together.
func resident(b *testing.B) int64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
