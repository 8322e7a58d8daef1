package profile

import (
	"context"
	"encoding/json"

	"buttersc.one/oven/internal/decoration"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// wornReq is a decoration that an account puts on.
type wornReq struct {
	ID      string   `json:"id" api:"required,id"`
	Angle   *float64 `json:"angle" api:"min=-0.5,max=0.5"`
	FlipH   *bool    `json:"flipH" api:"optional"`
	OffsetX *float64 `json:"offsetX" api:"min=-0.25,max=0.25"`
	OffsetY *float64 `json:"offsetY" api:"min=-0.25,max=0.25"`
}

// decorations puts on as many as the role allows, of those that may be worn;
// others are left out, as Misskey does.
func (s *Service) decorations(ctx context.Context, c *api.Call, up *user.Update, req *[]wornReq) error {
	if req == nil {
		return nil
	}
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return err
	}
	if len(*req) > policies.AvatarDecorationLimit {
		return errRestricted
	}
	ids := make([]string, 0, len(*req))
	for _, w := range *req {
		ids = append(ids, w.ID)
	}
	held, err := s.roles.RolesOf(ctx, []string{c.UserID})
	if err != nil {
		return err
	}
	var roleIDs []string
	for _, r := range held[c.UserID] {
		roleIDs = append(roleIDs, r.ID)
	}
	wearable, err := s.wardrobe.Wearable(ctx, ids, roleIDs)
	if err != nil {
		return err
	}
	worn := []decoration.Worn{}
	for _, w := range *req {
		if wearable[w.ID] {
			worn = append(worn, decoration.Worn{ID: w.ID, Angle: w.Angle, FlipH: w.FlipH, OffsetX: w.OffsetX, OffsetY: w.OffsetY})
		}
	}
	b, err := json.Marshal(worn)
	if err != nil {
		return err
	}
	up.User["avatar_decorations"] = json.RawMessage(b)
	return nil
}
