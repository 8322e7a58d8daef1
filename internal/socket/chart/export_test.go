package chart

// SQL of this package, for tests of its plans.
const (
	SQLRange   = sqlRange
	SQLAdd     = sqlAdd
	SQLMembers = sqlMembers
)
