package redis

import (
	"embed"

	"github.com/redis/rueidis"
)

// The scripts, one for each call. Redis runs a script as one step, and knows it by its hash after the first time. A script that fails half-way leaves what
// it has done; so each begins with the command that a server refuses which does not want to write, and writes what may be refused first.
var (
	create    = script("create")
	get       = script("get")
	update    = script("update")
	touch     = script("touch")
	remove    = script("remove")
	list      = script("list")
	removeAll = script("removeall")
	probe     = script("probe")

	keyLoad  = script("keyload")
	keySave  = script("keysave")
	keyRings = script("keyrings")

	tokenCreate        = script("tokens", "tokencreate")
	tokenGet           = script("tokens", "tokenget")
	tokenUse           = script("tokens", "tokenuse")
	tokenRotate        = script("tokens", "tokenrotate")
	tokenDelete        = script("tokens", "tokendelete")
	tokenDeleteSubject = script("tokens", "tokendeletesubject")

	feedAdd   = script("feedadd")
	feedSince = script("feedsince")
	feedPrune = script("feedprune")
)

//go:embed lua/*.lua
var texts embed.FS

// script returns the script that consists of what all share and of these files.
func script(names ...string) *rueidis.Lua {
	text := ""
	for _, name := range append([]string{"common"}, names...) {
		part, err := texts.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // a name above is wrong
		}
		text += string(part)
	}
	return rueidis.NewLuaScript(text)
}
