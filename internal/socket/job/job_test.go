package job

import (
	"context"
	"errors"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

type bake struct{}

func (bake) Kind() string { return "test.bake" }

// What may be tried a few times only is given up with the last of them.
func TestFewTries(t *testing.T) {
	burnt := errors.New("burnt")
	w := &worker[bake]{f: func(context.Context, bake) error { return burnt }, tries: 3}
	for attempt := 1; attempt <= 3; attempt++ {
		err := w.Work(t.Context(), &river.Job[bake]{JobRow: &rivertype.JobRow{Attempt: attempt}})
		var given *rivertype.JobCancelError
		if !errors.Is(err, burnt) || errors.As(err, &given) != (attempt == 3) {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
	w.tries = 0
	if err := w.Work(t.Context(), &river.Job[bake]{JobRow: &rivertype.JobRow{Attempt: 99}}); !errors.Is(err, burnt) || errors.As(err, new(*rivertype.JobCancelError)) {
		t.Errorf("without a bound: %v", err)
	}
}
