-- wrk sends the same photo as a form, each connection as a client of its own, as a proxy would tell of them.
local body_of = function()
  local file = assert(io.open(os.getenv("PHOTO"), "rb"))
  local photo = file:read("*a")
  file:close()
  return "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n"
    .. "Content-Type: image/jpeg\r\n\r\n" .. photo .. "\r\n--edge--\r\n"
end

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local body, count
function init()
  body, count = body_of(), 0
end

function request()
  count = count + 1
  local address = string.format("10.%d.%d.%d", number, math.floor(count / 250) % 250, count % 250)
  local headers = { ["Content-Type"] = "multipart/form-data; boundary=edge", ["X-Forwarded-For"] = address }
  return wrk.format("POST", nil, headers, body)
end
