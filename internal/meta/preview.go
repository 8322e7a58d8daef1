package meta

// PreviewSettings are how links are summarised, under Misskey's keys.
type PreviewSettings struct {
	URLPreviewEnabled         bool    `json:"urlPreviewEnabled"`
	URLPreviewAllowRedirect   bool    `json:"urlPreviewAllowRedirect"`
	URLPreviewTimeout         int     `json:"urlPreviewTimeout"`              // ms, for all that is asked about one link
	URLPreviewMaximum         int64   `json:"urlPreviewMaximumContentLength"` // bytes
	URLPreviewRequireLength   bool    `json:"urlPreviewRequireContentLength"` // refuse pages that do not say how long they are
	URLPreviewUserAgent       *string `json:"urlPreviewUserAgent"`            // nil: one that names this server
	URLPreviewSummaryProxyURL *string `json:"urlPreviewSummaryProxyUrl"`      // of a Summaly server that is asked instead
}

// previewDefaults are Misskey's, but for the length that must be said: reading is
// bounded whatever a page says, and many pages do not.
func previewDefaults() PreviewSettings {
	return PreviewSettings{URLPreviewEnabled: true, URLPreviewAllowRedirect: true, URLPreviewTimeout: 10_000, URLPreviewMaximum: 10 << 20}
}
