// The Continue CLI against the real server.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cn, emptyFolder } from './cn.js'
import { arrival, limit, next, providers, sent, slowly, statuses, url, user } from './server.js'

const email = 'cli@example.com'
const key = user(email)
const { chat: llama } = providers[0]

function config(model, apiKey = key) {
  const path = join(emptyFolder(), 'config.yaml')
  writeFileSync(path, `name: clients
version: 1.0.0
schema: v1
models:
  - name: the model
    provider: openai
    model: ${model}
    apiBase: ${url}
    apiKey: ${apiKey}
    roles: [chat]
    capabilities: [tool_use]
    requestOptions:
      headers:
        x-user-email: ${email}
`)
  return path
}

for (const { name, chat: model } of providers) {
  test(`${name} answers the CLI`, limit, async () => {
    const { status, out } = await cn(config(model), 'hello there')
    assert.equal(status, 0, out)
    assert.match(out, /You said "hello there"/)
    assert.equal((await sent()).length, 1)
  })

  test(`${name} has the CLI read two files, and answers with what is in them`, limit, async () => {
    const work = emptyFolder()
    writeFileSync(join(work, 'first.txt'), 'PING is the word\n')
    writeFileSync(join(work, 'second.txt'), 'PONG is the word\n')
    const { status, out } = await cn(config(model), 'USETOOL Read first.txt and second.txt', { cwd: work })
    assert.equal(status, 0, out)
    assert.match(out, /The tool says .*PONG is the word/)
    const requests = await sent()
    assert.equal(requests.length, 2)
    assert.match(JSON.stringify(requests[1].Body), /PING is the word.*PONG is the word/)
  })
}

// What the CLI shows of an error, and how often it asks. It would ask again up to 33 times for some types of error.
const errors = {
  'a wrong key': { apiKey: 'wrong', shows: '401 Invalid API key. Check the API key and the email', asks: 1, reaches: 0 },
  'a provider that is not served': { model: 'nobody/model', shows: '404 Choose another model: this provider is not served here.', asks: 1, reaches: 0 },
  'what the provider refuses': {
    answer: { Status: 400, Body: '{"error":{"message":"This is too long.","type":"invalid_request_error","code":"context_length_exceeded"}}' },
    shows: '400 This is too long.', asks: 1, reaches: 1,
  },
  'a provider that fails': {
    answer: { Status: 500, Body: '{"error":{"message":"The model has fallen over.","type":"server_error"}}' },
    shows: '500 The model has fallen over.', asks: 3, reaches: 3,
  },
  'an answer that breaks off': { answer: { Cut: { After: 3 } }, shows: "Try again: the provider's answer was cut off.", asks: 1, reaches: 1 },
}

for (const [name, { model = llama, apiKey, answer, shows, asks, reaches }] of Object.entries(errors)) {
  test(`${name}: the CLI says so, after ${asks} request${asks > 1 ? 's' : ''}`, limit, async () => {
    if (answer) await next(...Array(reaches).fill(answer))
    const { status, out } = await cn(config(model, apiKey), 'hello there')
    assert.equal(status, 1, out)
    const said = JSON.parse(out.trim().split('\n').at(-1))
    assert.equal(said.status, 'error')
    assert.ok(said.message.startsWith(shows), said.message)
    assert.equal((await statuses(asks)).length, asks)
    assert.equal((await sent()).length, reaches)
  })
}

test('the CLI gets its answer after a 429', limit, async () => {
  await next({ Status: 429, Body: '{"error":{"message":"Slow down.","type":"tokens","code":"rate_limit_exceeded"}}', Header: ['Retry-After', '1'] })
  const { status, out } = await cn(config(llama), 'hello there')
  assert.equal(status, 0, out)
  assert.match(out, /You said "hello there"/)
  assert.deepEqual(await statuses(2), [429, 200])
})

test('the provider is left alone when the CLI is interrupted', limit, async () => {
  await next(slowly)
  await cn(config(llama), 'hello there', { until: arrival() })
  const began = Date.now()
  const [request] = await sent()
  assert.ok(request.ClientGone)
  assert.ok(Date.now() - began < 20_000)
})
