// Claude Code, Codex and OpenCode on the models of providers with other protocols.
import { claudeCode, codex, openCode, testAgentOn } from './agent.js'

const chat = {
  'workers-ai': { path: 'workers-ai/v1/chat/completions', from: '@cf/meta/llama-3.1-8b-instruct on workers-ai' },
  'azure-openai': { models: 'inst/gpt-5-mini', path: 'azure-openai/inst/gpt-5-mini/chat/completions', from: 'gpt-5-mini on azure-openai' },
  'google-ai-studio': { path: 'google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent', from: 'gemini-2.5-flash on google-ai-studio' },
  openai: { path: 'compat/chat/completions', from: 'gpt-4o-mini on openai' },
}
// OpenCode says max_tokens in a chat, which gpt-5 refuses.
const openCodeChat = { ...chat, 'azure-openai': { models: 'inst/gpt-4.1', path: 'azure-openai/inst/gpt-4.1/chat/completions', from: 'gpt-4.1 on azure-openai' } }
const responses = {
  ...chat,
  'azure-openai': { ...chat['azure-openai'], path: 'azure-openai/inst/openai/responses' },
  openai: { ...chat.openai, path: 'openai/responses' },
}

for (const provider of Object.keys(chat)) {
  testAgentOn(provider, { ...claudeCode, ...chat[provider] })
  if (provider !== 'openai') testAgentOn(provider, { ...codex, ...responses[provider] }) // codex.test.js has it
  if (provider !== 'openai') testAgentOn(provider, { ...openCode, ...openCodeChat[provider] }) // opencode.test.js has it
}
