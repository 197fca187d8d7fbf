/** What a server has sent: an event with an ID. */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: unknown;
}

/** Reads what a browser's `EventSource` would hand out of a response, with the data of JSON; to break off closes the connection. */
export async function* serverSentEvents({ body }: Pick<Response, "body">): AsyncGenerator<ServerSentEvent> {
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const messages = `${text}${part}`.split("\n\n");
    text = messages.pop() ?? "";
    for (const message of messages) {
      const [, id] = /^id: (.+)$/m.exec(message) ?? [];
      const [, data] = /^data: (.+)$/m.exec(message) ?? [];
      if (id !== undefined && data !== undefined) yield { id, data: JSON.parse(data) };
    }
  }
}

/** The first ones, after which it breaks off. */
export async function firstOf<T>(count: number, values: AsyncIterable<T>): Promise<readonly T[]> {
  const first: T[] = [];
  for await (const value of values) {
    first.push(value);
    if (first.length === count) break;
  }
  return first;
}
