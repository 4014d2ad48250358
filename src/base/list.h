/* An intrusive doubly linked list: a ListNode in each item, and one as the head. */
#pragma once

#include "base/compiler.h"

typedef struct ListNode ListNode;
struct ListNode {
    ListNode *next, *previous;
};

static inline void list_init(ListNode *head) { head->next = head->previous = head; }
static inline bool list_empty(const ListNode *head) { return head->next == head; }
static inline bool list_linked(const ListNode *node) { return node->next != NULL; }

static inline void list_insert_before(ListNode *position, ListNode *node)
{
    node->next = position;
    node->previous = position->previous;
    position->previous->next = node;
    position->previous = node;
}

static inline void list_append(ListNode *head, ListNode *node) { list_insert_before(head, node); }
static inline void list_prepend(ListNode *head, ListNode *node) { list_insert_before(head->next, node); }

static inline void list_remove(ListNode *node)
{
    node->next->previous = node->previous;
    node->previous->next = node->next;
    node->next = node->previous = NULL;
}

#define list_item(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FOREACH(head, item, type, member) \
    for (type *item = list_item((head)->next, type, member); &item->member != (head); \
         item = list_item(item->member.next, type, member))
/* The body may remove and free `item`. */
#define LIST_FOREACH_SAFE(head, item, type, member) \
    for (type *item = list_item((head)->next, type, member), *item##_next; \
         item##_next = list_item(item->member.next, type, member), &item->member != (head); item = item##_next)
