// Tab completion as Continue's IDE extensions send it: past any library of OpenAI's, with a fetch and a reader of events of
// their own, and with the key in one more header.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchwithRequestOptions, streamSse } from '@continuedev/fetch'
import { arrival, limit, next, providers, sent, slowly, statuses, tabCompletion, url, user } from './server.js'

const email = 'typing@example.com'
const key = user(email)

const ask = (model, { apiKey = key, signal } = {}) => fetchwithRequestOptions(url + '/completions', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}`, 'api-key': apiKey },
  body: JSON.stringify({ ...tabCompletion(model), stream: true }),
  signal,
}, { headers: { 'x-user-email': email } })

async function text(response) {
  let all = ''
  for await (const chunk of streamSse(await response)) all += chunk.choices?.[0]?.text ?? ''
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

  test(`${name} is left alone at the next key press, before and during its completion`, limit, async () => {
    for (const [i, answer] of [{ Silent: true }, slowly].entries()) {
      await next(answer)
      const typing = new AbortController()
      const completed = text(ask(model, { signal: typing.signal })).catch(error => error)
      await arrival(i + 1)
      typing.abort()
      await completed
    }
    const began = Date.now()
    const requests = await sent()
    assert.deepEqual(requests.map(request => request.ClientGone), [true, true])
    assert.ok(Date.now() - began < 20_000)
  })
}

test('a wrong key costs one request, and the body says what is wrong', limit, async () => {
  const response = await ask(providers[0].chat, { apiKey: 'wrong' })
  assert.equal(response.status, 401)
  assert.match((await response.json()).error.message, /^Invalid API key/)
  assert.deepEqual(await statuses(1), [401])
  assert.deepEqual(await sent(), [])
})
