-- +goose Up

ALTER TABLE abuse_report
	ADD COLUMN assignee_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL,
	ADD COLUMN resolved_as text CONSTRAINT abuse_report_resolved_as_check CHECK (resolved_as IN ('accept', 'reject')),
	ADD COLUMN forwarded bool NOT NULL DEFAULT false,
	ADD COLUMN moderation_note text NOT NULL DEFAULT '';
COMMENT ON TABLE abuse_report IS 'owner: moderation. Reports to the moderators of this server, of people here and of other servers. assignee_id is who closed it';
CREATE INDEX abuse_report_assignee_idx ON abuse_report (assignee_id) WHERE assignee_id IS NOT NULL;
