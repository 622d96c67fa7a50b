// The part of our schema that is measured, with its resolvers and loaders.
import { GraphQLDateTimeISO } from "graphql-scalars";

import { createTask } from "./create_task.js";
import { conversation, conversations, messages, node, subtasks, tasks, totalOf } from "./lists.js";

export const schema = `
  scalar DateTime
  enum TaskPriority { LOW MEDIUM HIGH }
  enum MessageRole { USER ASSISTANT }
  enum TaskOrderField { CREATED_AT DUE_AT }
  enum ErrorCode { BAD_USER_INPUT }
  input TaskFilter { completed: Boolean priority: [TaskPriority!] isSubtask: Boolean }
  input TaskOrder { field: TaskOrderField! }
  input CreateTaskInput {
    title: String!
    description: String
    priority: TaskPriority! = MEDIUM
    dueAt: DateTime
    tags: [String!]! = []
  }
  interface Node { id: ID! }
  type User implements Node { id: ID! name: String! email: String! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Task implements Node {
    id: ID!
    title: String!
    description: String
    completed: Boolean!
    priority: TaskPriority!
    dueAt: DateTime
    tags: [String!]!
    revision: Int!
    createdAt: DateTime!
    updatedAt: DateTime!
    subtasks(first: Int = 20, after: String): TaskConnection!
  }
  type TaskConnection { nodes: [Task!]! pageInfo: PageInfo! totalCount: Int! }
  type Message implements Node { id: ID! role: MessageRole! content: String! createdAt: DateTime! }
  type MessageConnection { nodes: [Message!]! pageInfo: PageInfo! }
  type Conversation implements Node {
    id: ID!
    title: String!
    messages(first: Int = 20, after: String): MessageConnection!
  }
  type ConversationConnection { nodes: [Conversation!]! pageInfo: PageInfo! }
  type UserError { code: ErrorCode! message: String! }
  type TaskPayload { task: Task errors: [UserError!]! }
  type Query {
    viewer: User
    node(id: ID!): Node
    conversation(id: ID!): Conversation
    tasks(first: Int = 20, after: String, filter: TaskFilter, orderBy: [TaskOrder!]): TaskConnection!
    conversations(first: Int = 20, after: String): ConversationConnection!
  }
  type Mutation { createTask(input: CreateTaskInput!): TaskPayload! }
`;

export const resolvers = {
  DateTime: GraphQLDateTimeISO,
  Query: {
    viewer: async (_, __, { pool, userId }) => {
      const found = await pool.query({
        name: "viewer",
        text: "SELECT id, name, email FROM users WHERE id = $1 AND is_active",
        values: [userId],
      });
      return found.rows[0];
    },
    node: (_, { id }, context) => node(context, id),
    conversation: (_, { id }, context) => conversation(context, id),
    tasks: (_, arguments_, context) => tasks(context, arguments_),
    conversations: (_, arguments_, context) => conversations(context, arguments_),
  },
  Mutation: {
    createTask: async (_, { input }, context) => ({ task: await createTask(context, input), errors: [] }),
  },
  TaskConnection: {
    totalCount: (list, _, context) => totalOf(context, list),
  },
};

export const loaders = {
  Conversation: {
    messages: (queries, context) => messages(context, queries),
  },
  Task: {
    subtasks: (queries, context) => subtasks(context, queries),
  },
};
