// A model's chat template: conversations to texts.
import { type Rendering, Template, type Value } from "./jinja/index.js";
import { type Message, prepareMessages } from "./messages.js";

export interface Conversation {
  messages: readonly unknown[];
  tools?: readonly unknown[] | undefined;
  documents?: readonly unknown[] | undefined;
  /** More variables of the template, such as `enable_thinking`. */
  variables?: Record<string, unknown>;
}

export interface TemplateOptions {
  /** Special tokens by name (`bos_token`, `eos_token`, ...). */
  specialTokens?: Record<string, string>;
  now?: Date;
}

export class ChatTemplate {
  readonly #template: Template;
  /** Whether the template marks the assistant's texts. */
  readonly marksAssistant: boolean;

  /** @throws TemplateError */
  constructor(
    source: string,
    readonly options: TemplateOptions = {},
  ) {
    this.#template = new Template(source);
    this.marksAssistant = /\{%[-+]?\s*generation\s*[-+]?%\}/.test(source);
  }

  /** @throws TemplateError, or Error for a message that is no object */
  render(conversation: Conversation, addGenerationPrompt = false): Rendering {
    return this.renderPrepared(prepareMessages(conversation.messages), conversation, addGenerationPrompt);
  }

  renderPrepared(messages: readonly Message[], conversation: Conversation, addGenerationPrompt: boolean): Rendering {
    const { specialTokens, now } = this.options;
    return this.#template.render(
      {
        ...specialTokens,
        ...conversation.variables,
        tools: conversation.tools ?? null,
        documents: conversation.documents ?? null,
        add_generation_prompt: addGenerationPrompt,
      },
      now,
      // Rendered again and again with more of them: they are made values once.
      { messages: messages as Value[] },
    );
  }
}
