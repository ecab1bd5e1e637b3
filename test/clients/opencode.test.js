// OpenCode against the real server, by each of the three ways that it has to models.
import { openCode, testAgent } from './agent.js'

const ways = {
  'its own provider anthropic': { model: 'anthropic/claude-sonnet-4-6', path: 'anthropic/v1/messages', answers: /This is claude-sonnet-4-6 on anthropic/ },
  'its own provider openai': { model: 'openai/gpt-4o-mini', path: 'openai/responses', answers: /This is gpt-4o-mini on openai/, gotOver: true },
  'chat completions': { model: 'ai-proxy/dynamic/everyday', path: 'compat/chat/completions', answers: /This is everyday on dynamic/ },
}

for (const [way, { model, path, answers, gotOver }] of Object.entries(ways)) {
  testAgent({
    ...openCode,
    title: `opencode with ${way}`,
    args: [...openCode.args, '-m', model],
    path,
    answers,
    wrongKey: { shows: /Invalid API key/, requests: 2 },
    // With OpenAI's format it asks up to five times more, at ever longer intervals.
    cut: gotOver ? { times: 2, shows: answers, requests: 3, status: 0 } : { shows: /Try again: the provider's answer was cut off/, requests: 2 },
  })
}
