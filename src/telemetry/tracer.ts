/** What a span says of its batch. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

/** The span of a batch; one of OpenTelemetry is one. */
export interface BatchSpan {
  readonly setAttribute: (name: string, value: string) => unknown;
  readonly addEvent: (name: string, attributes?: SpanAttributes) => unknown;
  readonly recordException: (
    exception: Pick<Error, "name" | "message"> & { readonly stack?: string },
  ) => void;
  /** 2 is ERROR. */
  readonly setStatus: (status: { readonly code: 2; readonly message: string }) => unknown;
  readonly end: () => void;
}

/** How the span of a batch begins. */
export interface BatchSpanOptions {
  /** PRODUCER. */
  readonly kind: 3;
  /** It is the child of no other span: which one is active when a batch goes out is chance. */
  readonly root: true;
  readonly attributes: SpanAttributes;
}

/** What a sink asks of a tracer: `trace.getTracer("rxadd")` of `@opentelemetry/api` has it. */
export interface Tracer {
  readonly startSpan: (name: string, options: BatchSpanOptions) => BatchSpan;
}
