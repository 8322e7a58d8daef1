package drive

// RemoveUnshown is the statement, for a test of its plan.
const RemoveUnshown = sqlRemoveUnshown
