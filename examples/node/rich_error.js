// Reads what every failing status carries beside its code: the reason with its metadata, and how long to wait.
import protobuf from "protobufjs";

// google/rpc/status.proto and error_details.proto, as far as they are read here; no npm package carries them alone.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`);
const Status = root.lookupType("Status");
const ErrorInfo = root.lookupType("ErrorInfo");
const RetryInfo = root.lookupType("RetryInfo");

// {reason, metadata, retryAfterSeconds}; empty where gRPC itself made the status.
export function readDetails(error) {
  const read = { reason: "", metadata: {}, retryAfterSeconds: 0 };
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!bytes) return read;
  for (const { typeUrl, value } of Status.decode(bytes).details) {
    const name = typeUrl.split("/").pop();
    if (name === "google.rpc.ErrorInfo") {
      const info = ErrorInfo.decode(value);
      Object.assign(read, { reason: info.reason, metadata: info.metadata });
    }
    if (name === "google.rpc.RetryInfo") {
      const { seconds, nanos } = RetryInfo.decode(value).retryDelay;
      read.retryAfterSeconds = Number(seconds) + nanos / 1e9;
    }
  }
  return read;
}
