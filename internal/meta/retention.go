package meta

// RetentionSettings are how long what other servers' accounts wrote is kept, when
// nobody here has touched it; nil: for ever.
type RetentionSettings struct {
	RemoteNotesDays *int `json:"remoteNotesRetentionDays"` // ours
	RemoteFilesDays *int `json:"remoteFilesRetentionDays"` // ours; files that no note shows
}
