-- Lists the directory with all the keys:
--   wrk -t2 -c16 -d10s --latency -s list.lua http://127.0.0.1:2379
-- QUERY=?recursive=true goes down into it.

package.path = (os.getenv("COPSE_WRK") or ".") .. "/?.lua;" .. package.path
local copse = require("common")

setup, done = copse.threads, copse.done

local path = "/v2/keys" .. copse.dir .. (os.getenv("QUERY") or "")

function request() return wrk.format("GET", path) end
