package drive

import (
	"context"
	"encoding/json"
	"slices"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Kinds of changes: the object is the file or folder, the actor whose it is.
const (
	created       = "drive.created"
	updated       = "drive.updated"
	deleted       = "drive.deleted"
	folderCreated = "drive.folderCreated"
	folderUpdated = "drive.folderUpdated"
	folderDeleted = "drive.folderDeleted"
	urlDone       = "drive.urlDone"
)

// Change goes with "drive.created" and "drive.deleted" in the change log.
type Change struct {
	UserID string `json:"userId"`
	Host   string `json:"host,omitempty"`
	Size   int64  `json:"size"`             // bytes that are stored here
	Marker string `json:"marker,omitempty"` // of an upload from an address
}

func driveTopic(userID string) string { return "drive:" + userID }

func openDrive(_ context.Context, sub *stream.Sub, _ json.RawMessage) error {
	sub.On(driveTopic(sub.UserID()), func(msg any) (string, any, bool) {
		e, ok := msg.(stream.Event)
		return e.Type, e.Body, ok
	})
	return nil
}

// onChanges tells those who are connected here. What has changed again since is
// told as it is now.
func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	var files, folders []string
	heard := func(c log.Change) bool {
		return s.Hub.Heard(driveTopic(c.ActorID)) || s.Hub.Heard(stream.MainTopic(c.ActorID))
	}
	for _, c := range batch {
		switch c.Kind {
		case created, updated, urlDone:
			if heard(c) {
				files = append(files, c.ObjectID)
			}
		case folderCreated, folderUpdated:
			if heard(c) {
				folders = append(folders, c.ObjectID)
			}
		}
	}
	have, err := s.ByIDs(ctx, s.DB, files)
	if err != nil {
		return err
	}
	dirs, err := s.foldersByID(ctx, s.DB, folders)
	if err != nil {
		return err
	}
	for _, c := range batch {
		if heard(c) {
			s.tell(c, have[c.ObjectID], dirs[c.ObjectID])
		}
	}
	return nil
}

func (s *Service) tell(c log.Change, f *File, d *Folder) {
	drive := driveTopic(c.ActorID)
	if f != nil {
		p := s.Pack(f)
		switch c.Kind {
		case created:
			s.Hub.Publish(drive, stream.Event{Type: "fileCreated", Body: p})
			s.Hub.Publish(stream.MainTopic(c.ActorID), stream.Event{Type: "driveFileCreated", Body: p})
		case updated:
			s.Hub.Publish(drive, stream.Event{Type: "fileUpdated", Body: p})
		case urlDone:
			var data Change
			if c.Into(&data) == nil {
				s.Hub.Publish(stream.MainTopic(c.ActorID), stream.Event{Type: "urlUploadFinished", Body: map[string]any{"marker": data.Marker, "file": p}})
			}
		}
	}
	if d != nil {
		s.Hub.Publish(drive, stream.Event{Type: map[string]string{folderCreated: "folderCreated", folderUpdated: "folderUpdated"}[c.Kind], Body: s.packFolder(d)})
	}
	if gone := []string{deleted, folderDeleted}; slices.Contains(gone, c.Kind) {
		s.Hub.Publish(drive, stream.Event{Type: map[string]string{deleted: "fileDeleted", folderDeleted: "folderDeleted"}[c.Kind], Body: c.ObjectID})
	}
}
