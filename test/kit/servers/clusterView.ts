import type { Redis } from "ioredis";

/** What one node of a cluster says of another, or of itself. */
export interface NodeView {
  readonly id: string;
  readonly port: number;
  /** Such as master, slave, fail, handshake. */
  readonly flags: readonly string[];
  /** The ID of its master, if it is a replica. */
  readonly master: string;
  readonly isConnected: boolean;
  /** First and last one of each range. */
  readonly slots: readonly (readonly [from: number, to: number])[];
}

/** Asks a node for all nodes that it knows. */
export async function nodesOf(client: Redis): Promise<readonly NodeView[]> {
  const text = `${await client.call("CLUSTER", "NODES")}`;
  return text.trim().split("\n").map(nodeOf);
}

/** Such as `<id> 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 5462 [5461->-<id>]`. */
function nodeOf(line: string): NodeView {
  const [id = "", address = "", flags = "", master = "", , , , link, ...slots] = line.split(" ");
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    flags: flags.split(","),
    master,
    isConnected: link === "connected",
    slots: slots.filter((slot) => !slot.startsWith("[")).map(rangeOf),
  };
}

function rangeOf(text: string): readonly [number, number] {
  const [from, to = from] = text.split("-").map(Number);
  if (from === undefined || to === undefined) throw new Error(`no slots: ${text}`);
  return [from, to];
}

/** What these nodes are, as a text to compare: which slots they own and whom they follow. */
export function rolesIn(view: readonly NodeView[], ports: readonly number[]): string {
  return view
    .filter(({ port }) => ports.includes(port))
    .map(({ port, master, slots }) => `${port} follows ${master} and owns ${slots.join(" ")}`)
    .sort()
    .join("; ");
}

/** What is still wrong in the eyes of a node that should be connected with the nodes on these ports. */
export function wrongIn(view: readonly NodeView[], ports: readonly number[]): string | undefined {
  const stranger = view.find(({ flags }) => flags.includes("handshake"));
  if (stranger !== undefined) return `${stranger.port} is a stranger still`;
  for (const port of ports) {
    const node = view.find((other) => other.port === port);
    if (node === undefined) return `${port} is not known`;
    if (!node.isConnected || node.flags.some((flag) => flag.startsWith("fail"))) return `${port} is away`;
  }
  return undefined;
}
