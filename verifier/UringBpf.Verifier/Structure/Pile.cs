using System.Diagnostics.CodeAnalysis;

namespace UringBpf.Verifier;

/// <summary>A stack. .NET's own is compiled anew in each process for every kind of element that is a struct, this one ahead of time.</summary>
internal sealed class Pile<T>
{
    private T[] _items = new T[8];

    public int Count { get; private set; }

    public void Push(T item)
    {
        if (Count == _items.Length)
        {
            var old = _items;
            _items = new T[2 * Count];
            Array.Copy(old, _items, Count);
        }
        _items[Count++] = item;
    }

    public T Peek() => _items[Count - 1];

    public T Pop()
    {
        var item = _items[--Count];
        // Nothing is kept alive by what was taken off.
        _items[Count] = default!;
        return item;
    }

    public bool TryPop([MaybeNullWhen(false)] out T item)
    {
        if (Count == 0)
        {
            item = default;
            return false;
        }
        item = Pop();
        return true;
    }
}

/// <summary>Where a walk over a graph stands: at a node, by its number, with its successor of this number to be looked at next.</summary>
internal readonly record struct WalkStep(int Node, int Next);
