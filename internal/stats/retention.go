package stats

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/chart"
)

// cohortsEvery it is looked whether a day is over; what was counted is counted
// again to the same.
const cohortsEvery = time.Hour

type cohortsArgs struct{}

// Kind implements job.Args.
func (cohortsArgs) Kind() string { return "stats.cohorts" }

const (
	// cohortDays are how long after they came accounts are asked after.
	cohortDays = 90
	// cohortsKnown is how long it is known who came on a day, with a margin.
	cohortsKnown = 35
	// cohortsShown are as many days of registration.
	cohortsShown = 30
)

const (
	sqlCohortsTo = `SELECT coalesce(max(day), 'epoch') FROM retention_cohort`
	// Who has left since has come all the same.
	sqlCohort = `
INSERT INTO retention_cohort (day, users) SELECT $1, count(*) FROM "user" WHERE host IS NULL AND NOT is_system AND id >= $2 AND id < $3
ON CONFLICT (day) DO UPDATE SET users = excluded.users`
	sqlCame = `
UPDATE retention_cohort c SET data = c.data || jsonb_build_object($1::text, d.n)
FROM unnest($2::date[], $3::int[]) d (day, n) WHERE c.day = d.day`
)

// workCohorts counts, for each day that is over, the accounts that were made on
// it and those that came on it.
func (s *Service) workCohorts(ctx context.Context) error {
	today := chart.Day.Bucket(s.Now())
	var last time.Time
	if err := s.DB.QueryRow(ctx, sqlCohortsTo).Scan(&last); err != nil {
		return fmt.Errorf("cohorts: %w", err)
	}
	if first := today.AddDate(0, 0, -cohortsKnown); last.Before(first) {
		last = first
	}
	for day := last.UTC(); day.Before(today); day = day.AddDate(0, 0, 1) {
		if err := s.cohort(ctx, day); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) cohort(ctx context.Context, day time.Time) error {
	ids := s.IDs.Method()
	if _, err := s.DB.Exec(ctx, sqlCohort, day, ids.Before(day), ids.Before(day.AddDate(0, 0, 1))); err != nil {
		return fmt.Errorf("cohort: %w", err)
	}
	// Where nobody was there to count, it is not known that nobody came.
	if hours, err := s.Engine.Hours(ctx, chart.Query{Span: chart.Day, Limit: 1, Until: day}); err != nil || hours[0] == 0 {
		return err
	}
	came, err := s.Engine.Members(ctx, "activeUsers", "read", day)
	if err != nil {
		return err
	}
	by := map[time.Time]int{}
	for n := 1; n <= cohortDays; n++ {
		by[day.AddDate(0, 0, -n)] = 0 // that nobody came is something to tell
	}
	for _, userID := range came {
		made, err := ids.Time(userID)
		if err != nil {
			continue // from before the server's ids had this form
		}
		if _, asked := by[chart.Day.Bucket(made)]; asked {
			by[chart.Day.Bucket(made)]++
		}
	}
	var days []time.Time
	var n []int
	for d, count := range by {
		days, n = append(days, d), append(n, count)
	}
	if _, err := s.DB.Exec(ctx, sqlCame, day.Format("2006-1-2"), days, n); err != nil {
		return fmt.Errorf("cohort: %w", err)
	}
	return nil
}

// cohort is the accounts that were made on a day, and how many came on others.
type cohort struct {
	CreatedAt api.Time       `json:"createdAt"`
	Users     int            `json:"users"`
	Data      map[string]int `json:"data"`
}

const sqlCohorts = `SELECT day, users, data FROM retention_cohort ORDER BY day DESC LIMIT $1`

func (s *Service) apiRetention(ctx context.Context, _ *api.Call, _ struct{}) ([]cohort, error) {
	rows, err := s.DB.Query(ctx, sqlCohorts, cohortsShown)
	if err != nil {
		return nil, fmt.Errorf("cohorts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (cohort, error) {
		var c cohort
		var day time.Time
		var data json.RawMessage
		if err := r.Scan(&day, &c.Users, &data); err != nil {
			return c, err
		}
		c.CreatedAt = api.Time(day)
		return c, json.Unmarshal(data, &c.Data)
	})
	if err != nil {
		return nil, fmt.Errorf("cohorts: %w", err)
	}
	return list, nil
}
