// Claude Code against the real server, with Anthropic's Messages.
import { claudeCode, testAgent } from './agent.js'

testAgent({
  ...claudeCode,
  path: 'anthropic/v1/messages',
  from: 'claude-sonnet-4-6 on anthropic',
  wrongKey: { shows: /Invalid API key/, requests: 1 },
  cut: { shows: /This is claude-sonnet-4-6 on anthropic/, requests: 2, status: 0 }, // it asks again, without a stream
})
