import type { Guard } from "./guard.ts";
import type { BatchSpan, Tracer } from "./tracer.ts";

/** A tracer of the user's whose errors, and those of its spans, stay there: a batch goes on without its span. */
export function guardedTracer(tracer: Tracer, guarded: Guard): Tracer {
  return {
    startSpan: (name, options) => {
      const spans: BatchSpan[] = [];
      guarded("tracer", () => spans.push(tracer.startSpan(name, options)));
      const told = (tell: (span: BatchSpan) => void) =>
        guarded("tracer", () => {
          for (const span of spans) tell(span);
        });
      return {
        setAttribute: (...args) => told((span) => span.setAttribute(...args)),
        addEvent: (...args) => told((span) => span.addEvent(...args)),
        recordException: (...args) => told((span) => span.recordException(...args)),
        setStatus: (...args) => told((span) => span.setStatus(...args)),
        end: () => told((span) => span.end()),
      };
    },
  };
}
