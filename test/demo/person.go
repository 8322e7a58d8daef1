package main

import (
	"fmt"
	"reflect"
)

// person lives on one of the servers.
type person struct {
	s     *server
	name  string
	id    string
	token string
	knows map[string]string // name of another → his id on this server
}

func (s *server) signUp(name string) (*person, error) {
	res, err := s.post("signup", m{"username": name, "password": "password of " + name})
	if err != nil {
		return nil, err
	}
	p := &person{s: s, name: name, knows: map[string]string{}}
	p.id, _ = dig(res, "id").(string)
	p.token, _ = dig(res, "token").(string)
	if p.id == "" || p.token == "" {
		return nil, fmt.Errorf("sign-up gave no account")
	}
	return p, nil
}

func (p *person) call(name string, params m) (any, error) {
	if p == nil {
		return nil, fmt.Errorf("nobody has signed up")
	}
	with := m{"i": p.token}
	for k, v := range params {
		with[k] = v
	}
	return p.s.post(name, with)
}

// guest asks the same server without signing in.
func (p *person) guest(name string, params m) (any, error) { return p.s.post(name, params) }

func (p *person) list(name string, params m) ([]m, error) {
	res, err := p.call(name, params)
	if err != nil {
		return nil, err
	}
	items, ok := res.([]any)
	if !ok {
		return nil, fmt.Errorf("%s gave no list", name)
	}
	out := make([]m, 0, len(items))
	for _, i := range items {
		o, _ := i.(m)
		out = append(out, o)
	}
	return out, nil
}

// meet finds a person of the other server by name.
func (p *person) meet(other *person) error {
	res, err := p.call("users/show", m{"username": other.name, "host": other.s.host})
	if err != nil {
		return err
	}
	p.knows[other.name], _ = dig(res, "id").(string)
	return is(res, "username", other.name)
}

// postSeenBy writes a note and waits until the other has it, as written, in his
// home timeline.
func (p *person) postSeenBy(other *person, params m) (string, error) {
	id, _, err := p.postBoth(other, params)
	return id, err
}

// postBoth is postSeenBy that also gives the note's id on the other server.
func (p *person) postBoth(other *person, params m) (here, there string, err error) {
	res, err := p.call("notes/create", params)
	if err != nil {
		return "", "", err
	}
	here, _ = dig(res, "createdNote", "id").(string)
	uri := "http://" + p.s.host + "/notes/" + here
	err = eventually(func() error {
		list, err := other.list("notes/timeline", m{"limit": 30})
		if err != nil {
			return err
		}
		for _, n := range list {
			if n["uri"] == uri {
				there, _ = n["id"].(string)
				return all(is(n, "text", params["text"]), is(n, "cw", params["cw"]))
			}
		}
		return fmt.Errorf("%s has not got it", other.name)
	})
	return here, there, err
}

// notified waits for a notification of the type, about a note with the text
// unless that is "".
func (p *person) notified(typ, text string) error {
	return eventually(func() error {
		list, err := p.list("i/notifications", m{"limit": 50, "markAsRead": false})
		if err != nil {
			return err
		}
		for _, n := range list {
			if n["type"] == typ && (text == "" || dig(n, "note", "text") == text) {
				return nil
			}
		}
		return fmt.Errorf("%s is not told of a %s", p.name, typ)
	})
}

func (p *person) hears(typ, text string) error { return p.notified(typ, text) }

// child waits until a note has an answer with the text.
func (p *person) child(noteID, text string) error {
	return eventually(func() error {
		list, err := p.list("notes/children", m{"noteId": noteID})
		if err != nil {
			return err
		}
		for _, n := range list {
			if n["text"] == text {
				return nil
			}
		}
		return fmt.Errorf("no such answer")
	})
}

// reaction waits until a note's reactions of one kind are that many.
func (p *person) reaction(noteID, reaction string, count int) error {
	return eventually(func() error {
		n, err := p.call("notes/show", m{"noteId": noteID})
		if err != nil {
			return err
		}
		got, _ := dig(n, "reactions", reaction).(float64)
		if int(got) != count {
			return fmt.Errorf("%s stands at %v: %v", reaction, got, dig(n, "reactions"))
		}
		return nil
	})
}

// dig goes down into JSON: names into objects, numbers into lists.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch key := p.(type) {
		case string:
			o, _ := v.(m)
			v = o[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

func is(v any, key string, want any) error {
	if got := dig(v, key); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s is %v, not %v", key, got, want)
	}
	return nil
}
