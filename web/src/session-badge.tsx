/** Says in the corner of the page who is signed in, and lets them sign out. */
import { useEffect, useState } from "react";
import { sendOverHttp, signOut } from "./http";
import { useSession } from "./session";

export function SessionBadge() {
  const { accessToken, refused } = useSession();
  const name = useViewerName(accessToken);
  if (accessToken !== null) {
    return (
      <div className="session-badge" role="status">
        <span title={name}>Signed in{name === "" ? "" : ` as ${name}`}</span>
        <button type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    );
  }
  return (
    <div className="session-badge" role="status">
      {refused ? <strong>The server refused the access token: sign in again</strong> : <span>Not signed in</span>}
    </div>
  );
}

function useViewerName(accessToken: string | null): string {
  const [viewer, setViewer] = useState({ accessToken, name: "" });
  useEffect(() => {
    if (accessToken === null) return;
    let stale = false;
    void fetchViewerName().then((name) => {
      if (!stale) setViewer({ accessToken, name });
    });
    return () => {
      stale = true;
    };
  }, [accessToken]);
  return viewer.accessToken === accessToken ? viewer.name : "";
}

async function fetchViewerName(): Promise<string> {
  try {
    const { data } = await sendOverHttp({
      operationName: "SignedInAs",
      query: "query SignedInAs { viewer { email } }",
    });
    const viewer = data?.["viewer"] as { email: string } | null | undefined;
    return viewer?.email ?? "";
  } catch {
    return "";
  }
}
