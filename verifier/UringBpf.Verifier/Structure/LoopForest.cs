using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// The loops of a program and how they nest: Havlak's algorithm ("Nesting of reducible and irreducible loops", 1997), one
/// depth-first walk per function. A head is the target of an edge that goes back along the walk; every cycle has one.
/// </summary>
internal sealed class LoopForest
{
    private readonly Workspace _workspace;
    private readonly Block<int> _innermost;

    /// <param name="shape">The program.</param>
    /// <param name="workspace">For what the verification needs.</param>
    public LoopForest(ProgramShape shape, Workspace workspace)
    {
        _workspace = workspace;
        Heads = workspace.Take<bool>(shape.Count);
        _innermost = workspace.Take<int>(shape.Count);
        _innermost.Span.Fill(-1);
        foreach (var function in shape.Functions) Find(shape, function);
    }

    /// <summary>True for the slots that head a loop.</summary>
    public Block<bool> Heads { get; }

    /// <summary>The head of the innermost loop around an instruction (a head's own loop does not count as around it), or -1.</summary>
    public int Around(int slot) => _innermost[slot];

    /// <summary>The head of the innermost loop an instruction is in, itself included, or -1.</summary>
    public int InnermostOf(int slot) => Heads[slot] ? slot : _innermost[slot];

    private void Find(ProgramShape shape, Subprogram function)
    {
        var start = function.Start;
        var number = _workspace.Take<int>(function.Length);     // Preorder, 0 for unreached.
        var last = _workspace.Take<int>(function.Length);       // The last preorder number below it.
        var order = _workspace.Take<int>(function.Length + 1);  // By number; there is no number 0.
        var numbered = 1;
        var back = new List<(int Head, int Source)>();
        Walk();
        if (back.Count == 0) return;

        // From the inside out: what reaches a head backwards from its back edges, without leaving through the head, is its loop.
        back.Sort((a, b) => number[b.Head - start].CompareTo(number[a.Head - start]));
        var goesBack = new HashSet<(int Head, int Source)>(back);
        var representative = new int[numbered];
        for (var index = 0; index < representative.Length; index++) representative[index] = index;
        var body = new HashSet<int>();
        var pending = new Pile<int>();
        for (var edge = 0; edge < back.Count;)
        {
            var head = back[edge].Head;
            var index = number[head - start];
            Heads[head] = true;
            body.Clear();
            for (; edge < back.Count && back[edge].Head == head; edge++) Include(Representative(number[back[edge].Source - start]));
            while (pending.TryPop(out var member))
            {
                var target = order[member];
                foreach (var predecessor in shape.Predecessors(target))
                {
                    if (number[predecessor - start] == 0 || goesBack.Contains((target, predecessor))) continue;
                    var from = Representative(number[predecessor - start]);
                    // An entry beside the head (irreducible): it stays outside.
                    if (from >= index && from <= last[head - start]) Include(from);
                }
            }
            foreach (var member in body)
            {
                representative[member] = index;
                _innermost[order[member]] = head;
            }

            void Include(int member)
            {
                if (member != index && body.Add(member)) pending.Push(member);
            }
        }

        // Instructions that were swallowed with an inner loop's head are in that loop already; the others were set above.
        int Representative(int index)
        {
            while (representative[index] != index)
            {
                representative[index] = representative[representative[index]];
                index = representative[index];
            }
            return index;
        }

        void Walk()
        {
            // As deep as the function is long, at most.
            var stack = _workspace.Take<WalkStep>(function.Length);
            var depth = 0;
            number[0] = 1;
            order[numbered++] = start;
            stack[depth++] = new(start, 0);
            while (depth > 0)
            {
                ref var top = ref stack[depth - 1];
                var (slot, next) = top;
                if (next == 2)
                {
                    depth--;
                    last[slot - start] = numbered - 1;
                    continue;
                }
                top = new(slot, next + 1);
                var successors = shape.Successors(slot);
                var target = next == 0 ? successors.First : successors.Second;
                if (target < 0) continue;
                var known = number[target - start];
                if (known == 0)
                {
                    number[target - start] = numbered;
                    order[numbered++] = target;
                    stack[depth++] = new(target, 0);
                }
                // A node without a last number yet is still open: the edge goes back to it.
                else if (known <= number[slot - start] && last[target - start] == 0) back.Add((target, slot));
            }
        }
    }
}
