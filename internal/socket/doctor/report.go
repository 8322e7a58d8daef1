package doctor

// Report is what a check found. It holds names of tables and columns, ids,
// hosts and counts, and never what people wrote.
type Report struct {
	Findings []Finding `json:"findings"`
	Notes    []Note    `json:"notes"` // what is not wrong, or could not be looked at
	Checked  int       `json:"checked"`
}

// Note is a remark.
type Note struct {
	Where string `json:"where"`
	Says  string `json:"says"`
}

func (r *Report) find(f Finding) { r.Findings = append(r.Findings, f) }

func (r *Report) note(where, says string) { r.Notes = append(r.Notes, Note{where, says}) }
