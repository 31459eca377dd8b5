package redis

import (
	_ "embed"

	"github.com/redis/rueidis"
)

// The scripts, one for each call. Redis runs a script as one step, and knows it by its hash after the first time. A script that fails half-way leaves what
// it has done; so each begins with the command that a server refuses which does not want to write, and writes what may be refused first.
var (
	create    = script(createText)
	get       = script(getText)
	update    = script(updateText)
	touch     = script(touchText)
	remove    = script(removeText)
	list      = script(listText)
	removeAll = script(removeAllText)
	probe     = script(probeText)
)

var (
	//go:embed lua/common.lua
	commonText string
	//go:embed lua/create.lua
	createText string
	//go:embed lua/get.lua
	getText string
	//go:embed lua/update.lua
	updateText string
	//go:embed lua/touch.lua
	touchText string
	//go:embed lua/remove.lua
	removeText string
	//go:embed lua/list.lua
	listText string
	//go:embed lua/removeall.lua
	removeAllText string
	//go:embed lua/probe.lua
	probeText string
)

func script(text string) *rueidis.Lua { return rueidis.NewLuaScript(commonText + text) }
