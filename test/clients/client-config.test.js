// What `caddy continue-auth client-config` prints is loaded by the real Continue CLI, which then
// chats through the real server with a key that the real command made.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseConfigYaml, validateConfigYaml } from '@continuedev/config-yaml'
import { constructLlmApi } from '@continuedev/openai-adapters'
import { cn } from './cn.js'
import { folder, limit, ours, prefix, sent, statuses, user } from './server.js'

const email = 'dev@example.com'
const key = user(email)
const printed = ours('client-config', email)

const save = (name, text) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test('the Continue CLI loads the printed configuration and chats', limit, async () => {
  assert.ok(!printed.includes(key))
  const { status, out } = await cn(save('config.yaml', printed.replaceAll('apiKey: USER_KEY', `apiKey: ${key}`)), 'say PONG')
  assert.equal(status, 0, out)
  assert.match(out, /You said "say PONG"/)
  const [request, ...others] = await sent()
  assert.deepEqual(others, [])
  assert.equal(request.Body.model, 'anthropic/claude-sonnet-4-6')
  assert.equal(request.Path, prefix + 'compat/chat/completions')
  assert.deepEqual(request.Header['Cf-Aig-Metadata'], [JSON.stringify({ user: email })])
})

test('Continue chats with each model of the printed configuration', limit, async () => {
  const { models } = parseConfigYaml(printed.replaceAll('apiKey: USER_KEY', `apiKey: ${key}`))
  const chats = models.filter(({ roles }) => roles.includes('chat'))
  assert.equal(chats.length, 10)
  for (const { model, provider, apiKey, apiBase, requestOptions } of chats) {
    const answer = await constructLlmApi({ provider, apiKey, apiBase, requestOptions })
      .chatCompletionNonStream({ model, messages: [{ role: 'user', content: 'say PONG' }] }, new AbortController().signal)
    assert.match(answer.choices[0].message.content, /You said "say PONG"/)
  }
  assert.equal((await sent()).length, chats.length)
})

test('the configuration as it is printed, without a key, says what is wrong after one request', limit, async () => {
  const { status, out } = await cn(save('printed.yaml', printed), 'say PONG')
  assert.equal(status, 1)
  assert.match(out, /Invalid API key/)
  assert.deepEqual(await statuses(1), [401])
})

test('Continue itself finds nothing wrong, whatever the models are called', () => {
  const golden = fileURLToPath(new URL('../../caddyauth/agents/testdata/', import.meta.url))
  const files = readdirSync(golden).filter(file => file.endsWith('.yaml'))
  assert.ok(files.length > 0)
  for (const text of [printed, ...files.map(file => readFileSync(join(golden, file), 'utf8'))]) {
    const config = parseConfigYaml(text)
    assert.deepEqual(validateConfigYaml(config), [], text)
    assert.equal(new Set(config.models.map(model => model.name)).size, config.models.length, text)
    for (const model of config.models) {
      assert.equal(model.provider, 'openai')
      assert.ok(model.roles.length > 0, model.model)
      assert.equal(Object.keys(model.requestOptions.headers).length, 1, model.model)
    }
  }
})

test('the old configuration has a place for each kind of model', () => {
  const old = JSON.parse(ours('client-config', email, '--format', 'json'))
  assert.deepEqual(old.models.map(m => m.model).sort(), ['anthropic/claude-haiku-4-5', 'anthropic/claude-sonnet-4-6', 'azure-openai/inst/gpt-4.1', 'azure-openai/inst/gpt-5-mini', 'azure-openai/other/gpt-5-mini', 'dynamic/everyday', 'google-ai-studio/gemini-2.5-flash', 'openai/gpt-4o-mini', 'workers-ai/@cf/meta/llama-3.1-8b-instruct', 'workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct'])
  assert.equal(old.tabAutocompleteModel.model, 'workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct')
  assert.equal(old.embeddingsProvider.model, 'workers-ai/@cf/baai/bge-m3')
  assert.ok(readFileSync(join(folder, 'keys.json'), 'utf8').includes('apiKeyHash'))
})
