//go:build faults

package doctor_test

import "testing"

// Fifteen hundred accounts that are there twice are merged while sixteen clients
// write, by a process that is killed thirty times.
func TestLongRepair(t *testing.T) {
	const n = 1500
	conn, dsn := crowd(t, n)
	program := binary(t)
	var c clients
	c.begin(t, dsn, n)
	run := repaired(t, program, dsn, 30)
	sound(t, conn, &c, run, n)
}
