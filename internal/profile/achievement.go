package profile

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// claimReq names an achievement of Misskey's clients: they find out that
// somebody has earned it.
type claimReq struct {
	Name string `json:"name" api:"required,enum=notes1|notes10|notes100|notes500|notes1000|notes5000|notes10000|notes20000|notes30000|notes40000|notes50000|notes60000|notes70000|notes80000|notes90000|notes100000|login3|login7|login15|login30|login60|login100|login200|login300|login400|login500|login600|login700|login800|login900|login1000|passedSinceAccountCreated1|passedSinceAccountCreated2|passedSinceAccountCreated3|loggedInOnBirthday|loggedInOnNewYearsDay|noteClipped1|noteFavorited1|myNoteFavorited1|profileFilled|markedAsCat|following1|following10|following50|following100|following300|followers1|followers10|followers50|followers100|followers300|followers500|followers1000|collectAchievements30|viewAchievements3min|iLoveMisskey|foundTreasure|client30min|client60min|noteDeletedWithin1min|postedAtLateNight|postedAt0min0sec|selfQuote|htl20npm|viewInstanceChart|outputHelloWorldOnScratchpad|open3windows|driveFolderCircularReference|reactWithoutRead|clickedClickHere|justPlainLucky|setNameToSyuilo|cookieClicked|brainDiver|smashTestNotificationButton|tutorialCompleted|bubbleGameExplodingHead|bubbleGameDoubleExplodingHead"`
}

func (s *Service) apiClaim(ctx context.Context, c *api.Call, req claimReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.achieve(ctx, tx, c.UserID, req.Name) })
}

// achieve gives an achievement, once.
func (s *Service) achieve(ctx context.Context, tx *pg.Tx, userID, name string) error {
	first, err := s.users.Achieve(ctx, tx, userID, name)
	if err != nil || !first {
		return err
	}
	return s.bus.Emit(ctx, tx, user.Achieved{UserID: userID, Name: name})
}

// onFavorited: somebody keeps a note of another here.
func (s *Service) onFavorited(ctx context.Context, tx *pg.Tx, e note.Favorited) error {
	if !e.Note.Local() || e.Note.UserID == e.By.ID {
		return nil
	}
	return s.achieve(ctx, tx, e.Note.UserID, "myNoteFavorited1")
}

type achievementsReq struct {
	UserID string `json:"userId" api:"required,id"`
}

func (s *Service) apiAchievements(ctx context.Context, _ *api.Call, req achievementsReq) ([]user.Achievement, error) {
	list, err := s.users.Achievements(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) {
		return []user.Achievement{}, nil
	}
	return list, err
}
