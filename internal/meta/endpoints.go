package meta

import (
	"context"
	"time"

	"buttersc.one/oven/internal/socket/api"
)

type pingRes struct {
	Pong int64 `json:"pong"` // ms since 1970
}

func (s *Service) apiPing(context.Context, *api.Call, struct{}) (pingRes, error) {
	return pingRes{Pong: time.Now().UnixMilli()}, nil
}

func (s *Service) apiEndpoints(context.Context, *api.Call, struct{}) ([]string, error) {
	names := []string{}
	for _, e := range s.endpoints() {
		names = append(names, e.Name)
	}
	return names, nil
}

type endpointReq struct {
	Endpoint string `json:"endpoint" api:"required"`
}

type endpointRes struct {
	Params []endpointParam `json:"params"`
}

type endpointParam struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// apiEndpoint answers null for a name that does not exist, as Misskey does.
func (s *Service) apiEndpoint(_ context.Context, _ *api.Call, req endpointReq) (*endpointRes, error) {
	for _, e := range s.endpoints() {
		if e.Name != req.Endpoint {
			continue
		}
		res := &endpointRes{Params: []endpointParam{}}
		for _, p := range e.Params.Props {
			typ := p.Schema.Type
			if typ == "" {
				typ = "any"
			}
			res.Params = append(res.Params, endpointParam{Name: p.Name, Type: string(typ[0]-32) + typ[1:]})
		}
		return res, nil
	}
	return nil, nil
}
