// What Continue's IDE extensions send past any library of OpenAI's, with a fetch and a reader of events of their own, and with
// the key in one more header: tab completion above all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchwithRequestOptions, streamSse } from '@continuedev/fetch'
import { arrival, limit, models, next, providers, sent, slowly, statuses, tabCompletion, url, user } from './server.js'

const email = 'typing@example.com'
const key = user(email)

const send = (path, { apiKey = key, headers = { 'x-user-email': email }, ...init } = {}) => fetchwithRequestOptions(url + path, {
  headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}`, 'api-key': apiKey },
  ...init,
}, { headers })
const ask = (model, options) => send('/completions', { method: 'POST', body: JSON.stringify({ ...tabCompletion(model), stream: true }), ...options })

async function text(response, arrived) {
  let all = ''
  for await (const chunk of streamSse(await response)) {
    all += chunk.choices?.[0]?.text ?? chunk.delta ?? ''
    if (all) arrived?.()
  }
  return all
}

for (const { name, chat: model } of providers) {
  test(`${name} completes code`, limit, async () => {
    assert.equal(await text(ask(model)), 'return a + b')
  })

  test(`${name}'s completion that breaks off is an error`, limit, async () => {
    await next({ Text: ['return ', 'a ', '+ ', 'b'], Cut: { After: 2 } })
    await assert.rejects(text(ask(model)), /Error streaming response: Try again: the provider's answer was cut off/)
  })

  test(`${name} is left alone at the next key press, before its completion`, limit, async () => {
    await next({ Silent: true })
    const typing = new AbortController()
    const completed = text(ask(model, { signal: typing.signal }))
    await arrival()
    typing.abort()
    assert.equal(await completed, '')
    const [request] = await sent()
    assert.ok(request.ClientGone)
  })

  test(`${name} is left alone at the next key press, during its completion`, limit, async () => {
    await next(slowly)
    const typing = new AbortController()
    assert.match(await text(ask(model, { signal: typing.signal }), () => typing.abort()), /^word/)
    const began = Date.now()
    const [request] = await sent()
    assert.ok(request.ClientGone)
    assert.ok(Date.now() - began < 20_000)
  })
}

const { chat: llama } = providers[0]

test('a key that names its user is all that tab completion needs', limit, async () => {
  assert.equal(await text(ask(llama, { apiKey: `${email}:${key}`, headers: {} })), 'return a + b')
})

test('the models that the IDE detects are all that are served, and to a user who may use some, those', limit, async () => {
  const detected = async options => (await (await send('/models', options)).json()).data.map(model => model.id).sort()
  assert.deepEqual(await detected(), models.toSorted())
  const few = { apiKey: user('few-models@example.com', '--models', 'workers-ai/@cf/meta/*,dynamic/*'), headers: { 'x-user-email': 'few-models@example.com' } }
  assert.deepEqual(await detected(few), ['dynamic/everyday', llama])
})

const answer = model => send('/responses', {
  method: 'POST',
  body: JSON.stringify({ model, input: [{ role: 'user', content: 'hello there', type: 'message' }], reasoning: { effort: 'medium', summary: 'auto' }, include: ['reasoning.encrypted_content'], max_output_tokens: 4096, stream: true }),
})

for (const { name, chat: model } of providers) {
  test(`${name} answers the IDE at /responses`, limit, async () => {
    assert.match(await text(answer(model)), /You said "hello there"/)
  })
}

test('a wrong key costs one request, and the body says what is wrong', limit, async () => {
  const response = await ask(llama, { apiKey: 'wrong' })
  assert.equal(response.status, 401)
  assert.match((await response.json()).error.message, /^Invalid API key/)
  assert.deepEqual(await statuses(1), [401])
  assert.deepEqual(await sent(), [])
})
