/** The operations that a first visit opens, one a tab, in the order in which to try them. */

const SIGN_UP = `# Welcome to Tasktalk! Run the tabs one by one:
# the pink button, Ctrl-Enter or Cmd-Enter.
#
# 1. Sign up. The access token is sent with all
#    later requests, unless you write an
#    Authorization header under Headers. A cookie
#    keeps you signed in.

mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) {
    accessToken
    expiresAt
    user {
      name
    }
    errors {
      code
      message
      path
    }
  }
}`;

const CREATE_TASK = `# 2. Create a task. Expected failures are data:
#    empty the title and look at "errors".

mutation CreateTask($input: CreateTaskInput!) {
  createTask(input: $input) {
    task {
      id
      title
      priority
      tags
      revision
    }
    errors {
      code
      message
      path
    }
  }
}`;

const LIST_TASKS = `# 3. List open tasks, the most urgent first.

query ListTasks($first: Int, $after: String) {
  tasks(
    first: $first
    after: $after
    filter: { completed: false }
    orderBy: { field: PRIORITY, direction: DESC }
  ) {
    totalCount
    nodes {
      id
      title
      priority
      tags
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`;

const CONVERSATIONS = `# 4. Ask the assistant, then read what was said.
#    Two operations: the run button asks which.

mutation AskAssistant {
  sendMessage(
    input: {
      content: "add buy milk for tomorrow and tell me what is still open"
    }
  ) {
    reply {
      content
    }
    run {
      status
      toolCalls {
        name
        arguments
      }
    }
    errors {
      code
      message
      path
    }
  }
}

query ListConversations {
  conversations(first: 10) {
    nodes {
      id
      title
      messages(last: 5) {
        nodes {
          role
          content
          createdAt
        }
      }
    }
  }
}`;

const SUBSCRIBE = `# 5. See changes as they come: run this, then open
#    the page in a second window and run tab 2 there.
#    The pink button stops it.
#
# After a cut, pass the last cursor as "since":
# nothing is missed, nothing comes twice.

subscription Subscribe($since: String) {
  changes(since: $since) {
    changed {
      __typename
      id
      ... on Task {
        title
        completed
      }
      ... on Message {
        role
        content
      }
    }
    deletedIds
    cursor
  }
}`;

const SIGN_IN = `# 6. Back another day: sign in.

mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    accessToken
    expiresAt
    user {
      name
    }
    errors {
      code
      message
      path
    }
  }
}`;

const CREDENTIALS = { email: "you@example.com", password: "correct horse battery staple" };

export const FIRST_EXAMPLE = tab(SIGN_UP, { input: { ...CREDENTIALS, name: "You" } });

export const EXAMPLES = [
  FIRST_EXAMPLE,
  tab(CREATE_TASK, { input: { title: "Water the plants", priority: "HIGH", tags: ["home"] } }),
  tab(LIST_TASKS, { first: 20 }),
  tab(CONVERSATIONS),
  tab(SUBSCRIBE),
  tab(SIGN_IN, { input: CREDENTIALS }),
];

function tab(query: string, variables?: object) {
  return { query, variables: variables === undefined ? "" : JSON.stringify(variables, null, 2) };
}
