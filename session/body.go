package session

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The sizes in bytes of what one session can hold, as JSON: its data, and the identity with what belongs to it. They are apart, so that no data keeps anybody from
// signing in.
const (
	MaxData     = 64 << 10
	MaxIdentity = 8 << 10
)

// A body is what a record's Body holds. Fields may be added; none may change its meaning, since old records stay.
type body struct {
	Identity  *identity                  `json:"identity,omitempty"`
	Until     int64                      `json:"until,omitempty"` // ms; a limit of this session's own
	UserAgent string                     `json:"user_agent,omitempty"`
	Lineage   string                     `json:"lineage,omitempty"` // the id of the session that this one has renewed; of several, the first
	Began     int64                      `json:"began,omitempty"`   // ms; when that one was created
	Carrier   json.RawMessage            `json:"carrier,omitempty"`
	Data      map[string]json.RawMessage `json:"data,omitempty"`
}

// An identity is a [gatehouse.Identity] as it is stored.
type identity struct {
	Value    string         `json:"value"`
	Kind     gatehouse.Kind `json:"kind,omitempty"`
	Email    string         `json:"email,omitempty"`
	Roles    []string       `json:"roles,omitempty"`
	Scopes   []string       `json:"scopes,omitempty"`
	AuthTime int64          `json:"auth_time"` // ms
	Methods  []string       `json:"methods,omitempty"`
	Claims   map[string]any `json:"claims,omitempty"`
}

func storedIdentity(id gatehouse.Identity, now time.Time) *identity {
	auth := id.AuthTime
	if auth.IsZero() {
		auth = now
	}
	return &identity{Value: id.Value, Kind: id.Kind, Email: id.Email, Roles: id.Roles, Scopes: id.Scopes,
		AuthTime: auth.UnixMilli(), Methods: id.Methods, Claims: maps.Collect(id.Claims())}
}

func (i *identity) restored() gatehouse.Identity {
	if i == nil {
		return gatehouse.Identity{}
	}
	id := gatehouse.Identity{Value: i.Value, Kind: i.Kind, Email: i.Email, Roles: i.Roles, Scopes: i.Scopes,
		AuthTime: time.UnixMilli(i.AuthTime), Methods: i.Methods}
	if len(i.Claims) > 0 {
		id = gatehouse.WithClaims(id, i.Claims)
	}
	return id
}

// lineage names the log-in that a session goes back to. id is the session's.
func (b body) lineage(id string) string {
	if b.Lineage != "" {
		return b.Lineage
	}
	return id
}

// began returns when the log-in that a session goes back to was made. rec is the session's.
func (b body) began(rec Record) time.Time {
	if b.Began != 0 {
		return time.UnixMilli(b.Began)
	}
	return rec.Created
}
