// The Continue CLI, as a process.
import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folder } from './server.js'

const program = fileURLToPath(new URL('node_modules/@continuedev/cli/dist/cn.js', import.meta.url))
let running
process.on('exit', () => running?.kill('SIGKILL')) // where the tests are stopped half way
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// emptyFolder makes a folder for the CLI to work in.
export const emptyFolder = () => mkdtempSync(join(folder, 'cn-'))

// cn asks the Continue CLI, which is to work in cwd, and returns its status and what it prints. It is interrupted when
// until is fulfilled.
export function cn(config, prompt, { cwd = emptyFolder(), until } = {}) {
  const home = emptyFolder()
  return new Promise(done => {
    running = spawn(process.execPath, [program, '-p', prompt, '--config', config], {
      cwd,
      env: {
        PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
        HOME: home, CONTINUE_GLOBAL_DIR: join(home, '.continue'), CONTINUE_METRICS_ENABLED: '0', FORCE_NO_TTY: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 50_000,
      killSignal: 'SIGKILL',
    })
    until?.then(() => running.kill('SIGINT'))
    let out = ''
    running.stdout.on('data', piece => (out += piece))
    running.stderr.on('data', piece => (out += piece))
    running.on('close', status => done({ status, out }))
  })
}
