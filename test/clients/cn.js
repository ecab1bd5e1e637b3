// The Continue CLI, as a process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folder, url } from './server.js'

const program = fileURLToPath(new URL('node_modules/@continuedev/cli/dist/cn.js', import.meta.url))
const clock = new URL('hurry.js', import.meta.url).href
let running
process.on('exit', () => running?.kill('SIGKILL')) // where the tests are stopped half way
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// emptyFolder makes a folder for the CLI to work in.
export const emptyFolder = () => mkdtempSync(join(folder, 'cn-'))

// configuration writes one for the CLI with a single model, and returns its path.
export function configuration({ model, apiKey, email }) {
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
${email ? `    requestOptions:
      headers:
        x-user-email: ${email}
` : ''}`)
  return path
}

// shown is what the CLI says of an error, which it ends with.
export function shown({ status, out }) {
  assert.equal(status, 1, out)
  const said = JSON.parse(out.trim().split('\n').at(-1))
  assert.equal(said.status, 'error')
  return said.message
}

// cn asks the Continue CLI, which is to work in cwd, and returns its status and what it prints. It is interrupted when
// until is fulfilled, and waits less between its requests if it is to hurry.
export function cn(config, prompt, { cwd = emptyFolder(), until, hurry } = {}) {
  const home = emptyFolder()
  return new Promise(done => {
    running = spawn(process.execPath, [...(hurry ? ['--import', clock] : []), program, '-p', prompt, '--config', config], {
      cwd,
      env: {
        PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
        HOME: home, CONTINUE_GLOBAL_DIR: join(home, '.continue'), CONTINUE_METRICS_ENABLED: '0', FORCE_NO_TTY: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
      killSignal: 'SIGKILL',
    })
    until?.then(() => running.kill('SIGINT'))
    let out = ''
    running.stdout.on('data', piece => (out += piece))
    running.stderr.on('data', piece => (out += piece))
    running.on('close', status => done({ status, out }))
  })
}
