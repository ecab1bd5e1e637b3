// Qwen Code against the real server, with chat completions.
import { testAgent } from './agent.js'

testAgent({
  agent: 'qwen-code',
  program: 'qwen',
  args: ['-p'],
  path: 'compat/chat/completions',
  from: 'claude-sonnet-4-6 on anthropic',
  tool: 'read_file',
  more: 1,
  wrongKey: { shows: /Invalid API key/, requests: 1 },
  cut: { shows: /Try again: the provider's answer was cut off/, requests: 1 },
})
