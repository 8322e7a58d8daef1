package stats

import (
	"context"
	"fmt"
	"runtime"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/machine"
	"buttersc.one/oven/internal/socket/api"
)

type cpuInfo struct {
	Model string `json:"model"`
	Cores int    `json:"cores"`
}

type memInfo struct {
	Total int64 `json:"total"` // bytes
}

type fsInfo struct {
	Total int64 `json:"total"` // bytes
	Used  int64 `json:"used"`
}

type netInfo struct {
	Interface string `json:"interface"`
}

// serverInfo is the machine as everybody may see it.
type serverInfo struct {
	Machine string  `json:"machine"`
	CPU     cpuInfo `json:"cpu"`
	Mem     memInfo `json:"mem"`
	FS      fsInfo  `json:"fs"`
}

// adminServerInfo is the machine as moderators see it.
type adminServerInfo struct {
	serverInfo
	OS   string  `json:"os"`
	Node string  `json:"node"` // what the server was built with
	Psql string  `json:"psql"`
	Net  netInfo `json:"net"`
}

func (s *Service) machine() (serverInfo, netInfo, error) {
	m, err := machine.Read(s.Dir)
	if err != nil {
		return serverInfo{}, netInfo{}, err
	}
	return serverInfo{Machine: m.Name, CPU: cpuInfo{m.CPU, m.Cores}, Mem: memInfo{m.Memory}, FS: fsInfo{m.DiskTotal, m.DiskUsed}}, netInfo{m.Interface}, nil
}

// apiServerInfo tells of the machine where the settings say so; where they do not,
// it says as Misskey does that nothing is known.
func (s *Service) apiServerInfo(context.Context, *api.Call, struct{}) (serverInfo, error) {
	if !s.Meta.Get().EnableMachineStats {
		return serverInfo{Machine: "?", CPU: cpuInfo{Model: "?"}}, nil
	}
	i, _, err := s.machine()
	return i, err
}

const sqlVersion = `SELECT current_setting('server_version')`

func (s *Service) apiAdminServerInfo(ctx context.Context, _ *api.Call, _ struct{}) (*adminServerInfo, error) {
	i, n, err := s.machine()
	if err != nil {
		return nil, err
	}
	out := &adminServerInfo{serverInfo: i, Net: n, OS: runtime.GOOS, Node: runtime.Version()}
	if err := s.DB.QueryRow(ctx, sqlVersion).Scan(&out.Psql); err != nil {
		return nil, fmt.Errorf("version of the database: %w", err)
	}
	return out, nil
}

// tableSize is how much a table holds.
type tableSize struct {
	Count int64 `json:"count"` // rows, about
	Size  int64 `json:"size"`  // bytes, with indexes
}

// What is in parts counts as one table.
const sqlTables = `
SELECT c.relname, coalesce(sum(greatest(p.reltuples, 0)) FILTER (WHERE p.relkind = 'r'), 0)::bigint, sum(pg_total_relation_size(p.oid))::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) t (oid)
JOIN pg_class p ON p.oid = t.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
GROUP BY c.relname ORDER BY c.relname`

func (s *Service) apiTables(ctx context.Context, _ *api.Call, _ struct{}) (map[string]tableSize, error) {
	rows, err := s.DB.Query(ctx, sqlTables)
	if err != nil {
		return nil, fmt.Errorf("sizes of tables: %w", err)
	}
	out := map[string]tableSize{}
	var name string
	var t tableSize
	if _, err := pgx.ForEachRow(rows, []any{&name, &t.Count, &t.Size}, func() error { out[name] = t; return nil }); err != nil {
		return nil, fmt.Errorf("sizes of tables: %w", err)
	}
	return out, nil
}

// index is one, by name.
type index struct {
	Table string `json:"tablename"`
	Name  string `json:"indexname"`
}

const sqlIndexes = `
SELECT c.relname, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' ORDER BY 1, 2`

func (s *Service) apiIndexes(ctx context.Context, _ *api.Call, _ struct{}) ([]index, error) {
	rows, err := s.DB.Query(ctx, sqlIndexes)
	if err != nil {
		return nil, fmt.Errorf("indexes: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return nil, fmt.Errorf("indexes: %w", err)
	}
	return list, nil
}
