-- The question that HAProxy asks Gatehouse about every request.
--
-- "http-request lua.gatehouse" sends the head of the request to /authz/haproxy. After a 200 with the three
-- identity fields and Cookie it sets txn.gatehouse_allowed to "yes" and txn.gatehouse_user, _groups, _email and
-- _cookie (the client's cookies without those of Gatehouse's own sessions). A refusal
-- is answered right here, with Gatehouse's status, body and the fields in `answer_fields`. Everything else
-- (no answer, a slow, long or strange one) is answered with 503. An error in this file leaves
-- txn.gatehouse_allowed unset, and the line behind "http-request lua.gatehouse" in haproxy.cfg refuses.

local ask_url = "http://gatehouse/authz/haproxy"
local ask_dst = "abns@gatehouse_ask" -- the frontend of this name in haproxy.cfg
local ask_ms = 7000                  -- the backend cuts after 6 s; this is for the way there
local max_body = 16384               -- bytes; the backend refuses more

-- Fields that belong to the connection or the body. What the question says itself replaces the client's.
local not_asked = {
	["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["upgrade"] = true,
	["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["content-length"] = true,
	["expect"] = true, ["accept-encoding"] = true, ["host"] = true,
}

-- Statuses of a refusal that go to the client as they are.
local refusals = {
	[302] = true, [303] = true, [400] = true, [401] = true, [403] = true, [404] = true, [405] = true,
	[429] = true, [503] = true,
}

-- Fields of a refusal that go to the client.
local answer_fields = {
	"www-authenticate", "content-type", "cache-control", "retry-after", "allow", "location", "set-cookie",
	"vary", "x-gatehouse-code",
}

local unavailable = '{"type":"about:blank","title":"Service Unavailable","status":503,'
	.. '"code":"auth_unavailable","detail":"The request could not be checked. Try again later."}\n'

-- values returns every value of one field as a list that starts at 1. HAProxy counts the values of a
-- request from 0 and those of an answer from 1.
local function values(field)
	local list = {}
	if field == nil then
		return list
	end
	local first = 1
	if field[0] ~= nil then
		first = 0
	end
	for i = first, #field do
		list[#list + 1] = field[i]
	end
	return list
end

-- question returns the fields of the question about txn's request. A field that the client sent twice goes
-- twice, so that Gatehouse can refuse two credentials.
local function question(txn)
	local fields = {}
	for name, field in pairs(txn.http:req_get_headers()) do
		name = name:lower()
		if not not_asked[name] then
			fields[name] = values(field)
		end
	end
	local host = txn.sf:req_fhdr("host")
	local proto = "http"
	if txn.f:ssl_fc() == 1 then
		proto = "https"
	end
	fields["x-forwarded-method"] = { txn.sf:method() }
	fields["x-forwarded-host"] = { host }
	fields["x-forwarded-uri"] = { txn.sf:pathq() }
	fields["x-forwarded-proto"] = { proto }
	fields["x-forwarded-for"] = { txn.sf:src() }
	return fields
end

-- only returns the one value of a field of the answer, and nil if there are none or several.
local function only(answer, name)
	local list = values(answer.headers[name])
	if #list ~= 1 then
		return nil
	end
	return list[1]
end

-- allow notes who is asking. It returns false if the answer does not say so in all its fields: then it is
-- not an answer of Gatehouse.
local function allow(txn, answer)
	local user = only(answer, "remote-user")
	local groups = only(answer, "remote-groups")
	local email = only(answer, "remote-email")
	local cookie = only(answer, "cookie")
	if user == nil or groups == nil or email == nil or cookie == nil then
		return false
	end
	txn:set_var("txn.gatehouse_user", user)
	txn:set_var("txn.gatehouse_groups", groups)
	txn:set_var("txn.gatehouse_email", email)
	txn:set_var("txn.gatehouse_cookie", cookie)
	txn:set_var("txn.gatehouse_allowed", "yes")
	return true
end

-- refuse ends the request with Gatehouse's own answer.
local function refuse(txn, answer)
	local reply = txn:reply { status = answer.status }
	for _, name in ipairs(answer_fields) do
		for _, value in ipairs(values(answer.headers[name])) do
			reply:add_header(name, value)
		end
	end
	if txn.sf:method() ~= "HEAD" then
		reply:set_body(answer.body or "")
	end
	txn:done(reply)
end

-- fail ends the request with 503: it could not be checked.
local function fail(txn, why)
	txn:Warning("gatehouse: " .. why)
	local reply = txn:reply { status = 503 }
	reply:add_header("content-type", "application/problem+json")
	reply:add_header("cache-control", "no-store")
	reply:add_header("retry-after", "1")
	if txn.sf:method() ~= "HEAD" then
		reply:set_body(unavailable)
	end
	txn:done(reply)
end

core.register_action("gatehouse", { "http-req" }, function(txn)
	txn:set_var("txn.gatehouse_allowed", "no")
	local client = core.httpclient()
	local answer = client:get { url = ask_url, dst = ask_dst, headers = question(txn), timeout = ask_ms }
	if answer == nil or answer.status == nil or answer.status == 0 or answer.headers == nil then
		fail(txn, "no answer")
	elseif #(answer.body or "") > max_body then
		fail(txn, "the answer is too long")
	elseif answer.status == 200 then
		if not allow(txn, answer) then
			fail(txn, "the answer lacks an identity field")
		end
	elseif refusals[answer.status] then
		refuse(txn, answer)
	else
		fail(txn, "unexpected status " .. tostring(answer.status))
	end
end)
