package stats

import (
	"slices"

	"buttersc.one/oven/internal/socket/chart"
)

// Charts of this slice. What is stored goes by the columns' places: new ones come
// at the end of a chart.
func (s *Service) Charts() []chart.Def {
	return []chart.Def{
		{Name: "activeUsers", Columns: slices.Concat(
			[]chart.Column{{Name: "readWrite", Kind: chart.Both, Of: [2]string{"read", "write"}}},
			columns(chart.Unique, "read", "write", "registeredWithinWeek", "registeredWithinMonth", "registeredWithinYear",
				"registeredOutsideWeek", "registeredOutsideMonth", "registeredOutsideYear"))},
		{Name: "apRequest", Columns: columns(chart.Count, "deliverFailed", "deliverSucceeded", "inboxReceived")},
		{Name: "drive", Columns: slices.Concat(files("local."), files("remote."))},
		{Name: "federation", Columns: slices.Concat(
			columns(chart.Unique, "deliveredInstances", "inboxInstances", "stalled"),
			columns(chart.Total, "sub", "pub", "pubsub", "subActive", "pubActive"))},
		{Name: "instance", Grouped: true, Columns: slices.Concat(
			columns(chart.Count, "requests.failed", "requests.succeeded", "requests.received"),
			notes("notes."), total("users."), total("following."), total("followers."),
			columns(chart.Total, "drive.totalFiles"), columns(chart.Count, "drive.incFiles", "drive.decFiles"), size(chart.Count, "drive.incUsage", "drive.decUsage"))},
		{Name: "notes", Columns: slices.Concat(notes("local."), notes("remote."))},
		{Name: "perUserDrive", Grouped: true, Columns: slices.Concat(
			columns(chart.Total, "totalCount"), size(chart.Total, "totalSize"), files(""))},
		{Name: "perUserFollowing", Grouped: true, Columns: slices.Concat(
			total("local.followings."), total("local.followers."), total("remote.followings."), total("remote.followers."))},
		{Name: "perUserNotes", Grouped: true, Columns: notes("")},
		{Name: "perUserPv", Grouped: true, Columns: slices.Concat(
			columns(chart.Unique, "upv.user"), columns(chart.Count, "pv.user"), columns(chart.Unique, "upv.visitor"), columns(chart.Count, "pv.visitor"))},
		{Name: "perUserReaction", Grouped: true, Columns: columns(chart.Count, "local.count", "remote.count")},
		{Name: "users", Columns: slices.Concat(total("local."), total("remote."))},
	}
}

func columns(k chart.Kind, names ...string) []chart.Column {
	out := make([]chart.Column, 0, len(names))
	for _, n := range names {
		out = append(out, chart.Column{Name: n, Kind: k})
	}
	return out
}

// kB is the unit in which sizes are told; bytes are counted.
const kB = 1000

func size(k chart.Kind, names ...string) []chart.Column {
	out := columns(k, names...)
	for i := range out {
		out[i].Unit = kB
	}
	return out
}

func total(prefix string) []chart.Column {
	return slices.Concat(columns(chart.Total, prefix+"total"), columns(chart.Count, prefix+"inc", prefix+"dec"))
}

func notes(prefix string) []chart.Column {
	return slices.Concat(total(prefix), columns(chart.Count, prefix+"diffs.normal", prefix+"diffs.reply", prefix+"diffs.renote", prefix+"diffs.withFile"))
}

func files(prefix string) []chart.Column {
	return slices.Concat(columns(chart.Count, prefix+"incCount"), size(chart.Count, prefix+"incSize"),
		columns(chart.Count, prefix+"decCount"), size(chart.Count, prefix+"decSize"))
}
