// Codex against the real server, with OpenAI's Responses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codex, testAgent, testTurn } from './agent.js'
import { limit, statuses, url } from './server.js'

testAgent({
  ...codex,
  path: 'openai/responses',
  from: 'gpt-4o-mini on openai',
  wrongKey: { shows: /Invalid API key/, requests: 6 },
  cut: { shows: /stream disconnected before completion/, requests: 6 }, // it does not show our words
})

// Its own provider tries a WebSocket first. It goes on at once, where a server answers that with status 426.
const { ask } = testTurn({
  ...codex,
  title: 'codex with its own provider openai',
  args: [...codex.args, '-c', 'model_provider="openai"', '-c', `openai_base_url="${url}"`],
  credential: (email, key) => ({ CODEX_API_KEY: `${email}:${key}` }),
  path: 'openai/responses',
  from: 'gpt-4o-mini on openai',
})

test('codex with its own provider openai tries a WebSocket once', limit, async () => {
  const { status, all } = await ask('hello there')
  assert.equal(status, 0, all)
  assert.deepEqual((await statuses(2)).filter(status => status !== 200), [426])
})
