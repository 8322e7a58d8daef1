// Command demo walks through what Oven is for, on real servers: two of them,
// each with a data directory and a database of its own, federating over
// loopback. One line a step, ok or FAIL, its name and its milliseconds; the
// exit code is 0 only if every step was seen on the other side.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	d := &demo{}
	defer d.close()
	err := d.run()
	d.close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	if d.failed > 0 {
		os.Exit(1)
	}
}

// demo holds both servers and who lives on them.
type demo struct {
	a, b   *server
	alice  *person // on a
	bora   *person // on b
	failed int
}

func (d *demo) close() {
	for _, s := range []*server{d.a, d.b} {
		if s != nil {
			s.Stop()
			s.remove()
		}
	}
	d.a, d.b = nil, nil
}

// step runs one step and prints its line.
func (d *demo) step(name string, f func() error) {
	start := time.Now()
	err := f()
	word := "ok  "
	if err != nil {
		word = "FAIL"
		d.failed++
	}
	fmt.Printf("%s %-52s %6d ms\n", word, name, time.Since(start).Milliseconds())
	if err != nil {
		fmt.Fprintln(os.Stderr, "     ", err)
	}
}

func (d *demo) run() error {
	var err error
	if d.a, err = newServer("a.example"); err != nil {
		return err
	}
	if d.b, err = newServer("b.example"); err != nil {
		return err
	}
	d.a.knows(d.b)
	d.b.knows(d.a)
	d.step("two servers start", func() error {
		if err := d.a.Start(context.Background()); err != nil {
			return err
		}
		return d.b.Start(context.Background())
	})
	if d.failed > 0 {
		return nil
	}
	d.people()
	d.writing()
	d.audience()
	d.ends()
	d.crashes()
	return nil
}

// people: signing up, finding and following each other.
func (d *demo) people() {
	d.step("sign up on each", func() (err error) {
		if d.alice, err = d.a.signUp("alice"); err != nil {
			return err
		}
		d.bora, err = d.b.signUp("bora")
		return err
	})
	d.step("a custom emoji on each", func() error {
		if err := d.a.addEmoji("oven"); err != nil {
			return err
		}
		return d.b.addEmoji("bread")
	})
	d.step("find each other by name", func() error {
		if err := d.alice.meet(d.bora); err != nil {
			return err
		}
		return d.bora.meet(d.alice)
	})
	for _, f := range []struct {
		name     string
		from, to *person
	}{{"alice follows bora", d.alice, d.bora}, {"bora follows alice", d.bora, d.alice}} {
		d.step(f.name, func() error {
			if _, err := f.from.call("following/create", m{"userId": f.from.knows[f.to.name]}); err != nil {
				return err
			}
			return eventually(func() error {
				tie, err := f.from.call("users/relation", m{"userId": f.from.knows[f.to.name]})
				if err != nil {
					return err
				}
				back, err := f.to.call("users/relation", m{"userId": f.to.knows[f.from.name]})
				if err != nil {
					return err
				}
				return all(is(tie, "isFollowing", true), is(back, "isFollowed", true))
			})
		})
	}
	d.step("the followed hear of it", func() error { return d.bora.notified("follow", "") })
	d.step("edit a profile", func() error {
		if _, err := d.bora.call("i/update", m{"name": "보라 🍞", "description": "빵을 굽습니다 #오븐"}); err != nil {
			return err
		}
		return eventually(func() error {
			u, err := d.alice.call("users/show", m{"userId": d.alice.knows["bora"]})
			if err != nil {
				return err
			}
			return all(is(u, "name", "보라 🍞"), is(u, "description", "빵을 굽습니다 #오븐"))
		})
	})
}

// writing: notes in three languages and what people do with them.
func (d *demo) writing() {
	for _, n := range []struct{ lang, text string }{
		{"Korean", "오늘은 **식빵**을 구웠어요 🍞 #오븐 $[tada 따끈따끈] @alice@a.example"},
		{"Japanese", "今日は<small>少しだけ</small>パンを焼きました #パン\n> おいしい\nhttps://example.com/パン"},
		{"English", "The *crust* is ~~burnt~~ perfect. #bread `oven --hot` :bread:"},
	} {
		d.step("a note in "+n.lang+" with MFM arrives as written", func() error {
			_, err := d.bora.postSeenBy(d.alice, m{"text": n.text})
			return err
		})
	}
	d.step("the mentioned are told", func() error { return d.alice.notified("mention", "") })
	var mine, theirs string // alice's note: its id here, and as bora knows it
	d.step("a note with a warning arrives the other way", func() (err error) {
		mine, theirs, err = d.alice.postBoth(d.bora, m{"text": "빵이 다 됐어요", "cw": "배고픔 주의"})
		return err
	})
	d.step("reply", func() error {
		if _, err := d.bora.call("notes/create", m{"replyId": theirs, "text": "한 조각만 주세요!"}); err != nil {
			return err
		}
		return all(d.alice.hears("reply", "한 조각만 주세요!"), d.alice.child(mine, "한 조각만 주세요!"))
	})
	d.step("quote", func() error {
		if _, err := d.bora.call("notes/create", m{"renoteId": theirs, "text": "이 빵 추천"}); err != nil {
			return err
		}
		return d.alice.hears("quote", "이 빵 추천")
	})
	d.step("renote", func() error {
		if _, err := d.bora.call("notes/create", m{"renoteId": theirs}); err != nil {
			return err
		}
		return all(d.alice.notified("renote", ""), eventually(func() error {
			n, err := d.alice.call("notes/show", m{"noteId": mine})
			if err != nil {
				return err
			}
			return is(n, "renoteCount", 2.0)
		}))
	})
	d.step("react with an emoji of one's own server", func() error {
		if _, err := d.bora.call("notes/reactions/create", m{"noteId": theirs, "reaction": ":bread:"}); err != nil {
			return err
		}
		return d.alice.reaction(mine, ":bread@b.example:", 1)
	})
	d.step("change the reaction", func() error {
		if _, err := d.bora.call("notes/reactions/delete", m{"noteId": theirs}); err != nil {
			return err
		}
		if err := d.alice.reaction(mine, ":bread@b.example:", 0); err != nil {
			return err
		}
		if _, err := d.bora.call("notes/reactions/create", m{"noteId": theirs, "reaction": "🍞"}); err != nil {
			return err
		}
		return d.alice.reaction(mine, "🍞", 1)
	})
	d.step("ask, and vote on the other server", func() error {
		poll, far, err := d.alice.postBoth(d.bora, m{"text": "무슨 빵?", "poll": m{"choices": []string{"식빵", "크루아상"}, "expiredAfter": 3600_000}})
		if err != nil {
			return err
		}
		if _, err := d.bora.call("notes/polls/vote", m{"noteId": far, "choice": 1}); err != nil {
			return err
		}
		return eventually(func() error {
			n, err := d.alice.call("notes/show", m{"noteId": poll})
			if err != nil {
				return err
			}
			return is(dig(n, "poll", "choices", 1), "votes", 1.0)
		})
	})
}

// audience: who gets what.
func (d *demo) audience() {
	d.step("a direct note reaches whom it is for", func() error {
		id, err := d.alice.postSeenBy(d.bora, m{"text": "비밀 레시피", "visibility": "specified", "visibleUserIds": []string{d.alice.knows["bora"]}})
		if err != nil {
			return err
		}
		n, err := d.alice.guest("notes/show", m{"noteId": id})
		if err != nil {
			return err
		}
		return is(n, "isHidden", true)
	})
	d.step("a followers' note reaches followers and no guest", func() error {
		_, far, err := d.alice.postBoth(d.bora, m{"text": "팔로워만", "visibility": "followers"})
		if err != nil {
			return err
		}
		n, err := d.bora.guest("notes/show", m{"noteId": far})
		if err != nil {
			return err
		}
		return all(is(n, "isHidden", true), is(n, "text", nil))
	})
	d.step("a local note stays here", func() error {
		if _, err := d.alice.call("notes/create", m{"text": "여기에만", "localOnly": true}); err != nil {
			return err
		}
		if _, err := d.alice.postSeenBy(d.bora, m{"text": "그다음 노트"}); err != nil {
			return err
		}
		list, err := d.bora.list("users/notes", m{"userId": d.bora.knows["alice"], "limit": 20})
		if err != nil {
			return err
		}
		for _, n := range list {
			if n["text"] == "여기에만" {
				return fmt.Errorf("the local note left the house")
			}
		}
		return nil
	})
}

// ends: taking back, and parting.
func (d *demo) ends() {
	d.step("delete a note", func() error {
		id, far, err := d.alice.postBoth(d.bora, m{"text": "지울 노트"})
		if err != nil {
			return err
		}
		if _, err := d.alice.call("notes/delete", m{"noteId": id}); err != nil {
			return err
		}
		return eventually(func() error {
			switch _, err := d.bora.call("notes/show", m{"noteId": far}); {
			case err == nil:
				return errors.New("it is still there")
			case !strings.Contains(err.Error(), "NO_SUCH_NOTE"):
				return err
			}
			return nil
		})
	})
	d.step("block", func() error {
		if _, err := d.alice.call("blocking/create", m{"userId": d.alice.knows["bora"]}); err != nil {
			return err
		}
		return eventually(func() error {
			tie, err := d.bora.call("users/relation", m{"userId": d.bora.knows["alice"]})
			if err != nil {
				return err
			}
			return all(is(tie, "isBlocked", true), is(tie, "isFollowing", false), is(tie, "isFollowed", false))
		})
	})
	d.step("unblock and follow again", func() error {
		if _, err := d.alice.call("blocking/delete", m{"userId": d.alice.knows["bora"]}); err != nil {
			return err
		}
		if err := eventually(func() error {
			tie, err := d.bora.call("users/relation", m{"userId": d.bora.knows["alice"]})
			if err != nil {
				return err
			}
			return is(tie, "isBlocked", false)
		}); err != nil {
			return err
		}
		if _, err := d.bora.call("following/create", m{"userId": d.bora.knows["alice"]}); err != nil {
			return err
		}
		return eventually(func() error {
			tie, err := d.alice.call("users/relation", m{"userId": d.alice.knows["bora"]})
			if err != nil {
				return err
			}
			return is(tie, "isFollowed", true)
		})
	})
}

// crashes: either server is killed while alice writes; what was accepted
// arrives, once.
func (d *demo) crashes() {
	for _, c := range []struct {
		name   string
		victim *server
	}{{"the writer's server", d.a}, {"the reader's server", d.b}} {
		d.step("kill -9 of "+c.name+" while notes are written", func() error { return d.crash(c.name, c.victim) })
	}
}

const crashNotes = 60

func (d *demo) crash(name string, victim *server) error {
	accepted := []string{}
	for i := range crashNotes {
		text := fmt.Sprintf("%s %d번째 노트 %d", name, i, time.Now().UnixNano())
		if _, err := d.alice.call("notes/create", m{"text": text}); err == nil {
			accepted = append(accepted, text)
		}
		if i == crashNotes/3 {
			victim.Kill()
		}
		if i == crashNotes*2/3 {
			if err := victim.Start(context.Background()); err != nil {
				return err
			}
		}
	}
	if len(accepted) < crashNotes/3 {
		return fmt.Errorf("only %d notes were accepted", len(accepted))
	}
	return within(90*time.Second, func() error {
		seen := map[string]int{}
		until := ""
		for {
			params := m{"userId": d.bora.knows["alice"], "limit": 100}
			if until != "" {
				params["untilId"] = until
			}
			page, err := d.bora.list("users/notes", params)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for _, n := range page {
				if t, ok := n["text"].(string); ok {
					seen[t]++
				}
				until, _ = n["id"].(string)
			}
		}
		for _, t := range accepted {
			if seen[t] != 1 {
				return fmt.Errorf("%q arrived %d times (%d accepted)", t, seen[t], len(accepted))
			}
		}
		return nil
	})
}
