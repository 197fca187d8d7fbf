import type { Registry } from "prom-client";
import { familiesIn } from "./familiesIn.ts";

/** The metrics of consumer groups in a registry. */
export function groupFamilies(registry: Registry) {
  const { gauge } = familiesIn(registry);
  const ofGroup = ["stream", "group"] as const;
  return {
    lag: gauge("rxadd_consumer_group_lag", "Entries that the group has not read", ofGroup),
    pending: gauge("rxadd_consumer_group_pending", "Deliveries of the group not acknowledged", ofGroup),
    consumers: gauge("rxadd_consumer_group_consumers", "Consumers of the group", ofGroup),
  };
}
