package machine_test

import (
	"testing"

	"buttersc.one/oven/internal/lib/machine"
)

func TestRead(t *testing.T) {
	t.Parallel()
	i, err := machine.Read(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if i.Name == "" || i.CPU == "" || i.Cores < 1 || i.Memory < 1<<20 || i.DiskTotal < 1<<20 || i.DiskUsed < 0 || i.DiskUsed > i.DiskTotal {
		t.Errorf("machine %+v", i)
	}
	if _, err := machine.Read("/no/such/place"); err == nil {
		t.Error("a disk that is not there")
	}
}
