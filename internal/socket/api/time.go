package api

import "time"

// Time is a moment as Misskey writes it: ISO 8601 in UTC with milliseconds.
type Time time.Time

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// TimePtr is nil for nil.
func TimePtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	a := Time(*t)
	return &a
}
