package retention

// Statements are those of a batch with their arguments, for a test of their plans.
func Statements(ids []string, cutoff string) map[string][]any {
	return map[string][]any{
		sqlPage:     {cutoff, batch},
		sqlJudge:    {ids, cutoff},
		sqlHanging:  {ids, batch + 1},
		sqlLockSome: {ids},
	}
}
