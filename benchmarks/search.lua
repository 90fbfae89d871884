-- Search requests for the load generator wrk, which needs less processor time than a Python client.
-- The queries repeat, so the server soon has all query encodings in its cache.
--
--     wrk -t1 -c64 -d15s -s benchmarks/search.lua http://127.0.0.1:8000/search
local subjects = { "a dog", "two children", "a man in red", "a woman", "people", "a boy", "a bird", "a horse" }
local settings = { "in the snow", "on a beach", "in the street", "on the grass", "near water", "at night", "on a bicycle", "jumping" }
local n = 0

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function request()
  n = n + 1
  local text = subjects[n % #subjects + 1] .. " " .. settings[math.floor(n / #subjects) % #settings + 1]
  return wrk.format(nil, nil, nil, '{"text": "' .. text .. '", "k": 20}')
end
